/** One way to get a sample of a row. */
export type Sampler = () => Promise<number>;

/** Samples of each row. */
export type Samples = Record<string, number[]>;

/**
 * Takes a sample of each row in turn, again and again: what disturbs the host for a while disturbs all rows alike.
 * @returns rows in the order of `samplers`
 */
export async function roundRobin(
  samplers: Readonly<Record<string, Sampler>>,
  { runs, tell }: { runs: number; tell: (text: string) => void },
): Promise<Samples> {
  const samples: Samples = Object.fromEntries(Object.keys(samplers).map((row) => [row, []]));
  for (let run = 0; run < runs; run++) {
    for (const [row, sample] of Object.entries(samplers)) samples[row]?.push(await sample());
    tell(`round ${run + 1} of ${runs}`);
  }
  return samples;
}
