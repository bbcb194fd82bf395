/** Models by PCI device, as the reference network knows them. */
const MODELS: Readonly<Record<string, string>> = {
  '10de:26b9': 'L40S',
  '10de:2684': 'RTX 4090',
  '10de:2685': 'RTX 5090',
  '10de:2204': 'RTX 3090',
  '10de:2203': 'RTX 3090',
  '10de:27b0': 'RTX 4000 ADA',
  '10de:27b2': 'RTX 4000 ADA',
  '10de:2336': 'H100',
  '10de:22a3': 'H100',
  '10de:2313': 'H100',
  '10de:2330': 'H100',
  '10de:2331': 'H100',
  '10de:2080': 'A100',
  '10de:2081': 'A100',
  '10de:20b2': 'A100',
  '10de:20b8': 'A100',
};

/** The model of a GPU, by its `device_id`; undefined for one that nobody sells. */
export function gpuModelOf(deviceId: string): string | undefined {
  return Object.hasOwn(MODELS, deviceId) ? MODELS[deviceId] : undefined;
}
