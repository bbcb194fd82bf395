import { z } from 'zod';
import { type ImageConfig, imageConfigSchema } from '../manifest.ts';

/** A configuration as the OCI has it, and Docker before it (image-spec, config.md). Go writes null for what is missing. */
export const ociConfigSchema = z.object({
  architecture: z.string(),
  os: z.string(),
  config: z
    .object({
      User: z.string().nullish(),
      ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
      Env: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      WorkingDir: z.string().nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
      StopSignal: z.string().nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(z.string()).nullish() }),
});

export type OciConfig = z.infer<typeof ociConfigSchema>;

/**
 * What of an image's configuration counts here; what it leaves empty is left out. Labels come along where there is room:
 * nothing depends on them. Parsing says what does not fit.
 */
export function imageConfigOf({ config }: OciConfig): z.ZodSafeParseResult<ImageConfig> {
  const env = (config?.Env ?? []).map((entry) => {
    const equals = entry.indexOf('=');
    return equals < 0 ? ([entry, ''] as const) : ([entry.slice(0, equals), entry.slice(equals + 1)] as const);
  });
  const ports = Object.keys(config?.ExposedPorts ?? {}).map((port) => (port.includes('/') ? port : `${port}/tcp`));
  const labels = Object.entries(config?.Labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const members = {
    entrypoint: config?.Entrypoint,
    cmd: config?.Cmd,
    env: Object.fromEntries(env.filter(([name]) => name !== '')),
    workdir: config?.WorkingDir,
    user: config?.User,
    exposedPorts: ports.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1)),
    stopSignal: config?.StopSignal,
  };
  const said = Object.fromEntries(Object.entries(members).filter(([, value]) => !isEmpty(value)));
  const labelled = imageConfigSchema.safeParse({ ...said, labels: Object.fromEntries(labels) });
  return labels.length > 0 && labelled.success ? labelled : imageConfigSchema.safeParse(said);
}

function isEmpty(value: unknown): boolean {
  return value == null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);
}
