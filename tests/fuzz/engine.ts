import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fuzzMs, fuzzSeed } from '../framework/variants.ts';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';

/** Parts of the whole time that each target gets. */
const SHARES = {
  frames: 3,
  channel: 3,
  wire: 2,
  'wire-host': 3,
  requests: 5,
  answers: 5,
  'code-archives': 4,
  'package-archives': 2,
  messages: 3,
  logs: 2,
  console: 1,
  qmp: 2,
} as const;
const FINDS = join(import.meta.dirname, 'finds');
/** One input that takes longer hangs: most take well under a millisecond, and all share two processors. */
const HANG_MS = 20_000;
/** What the process may grow by over a whole run, whatever the inputs: far over what collection leaves behind. */
const MAX_GROWTH_BYTES = 768 * 1024 * 1024;

export interface Target {
  name: keyof typeof SHARES;
  /** What is well-formed, or nearly: each is tried as it is, then mutated. None is empty. */
  corpus: readonly Buffer[];
  /** Words of the format. */
  dictionary: readonly string[];
  maxBytes?: number;
  /** Throws if a property does not hold. `random` is the input's own. */
  run: (input: Buffer, random: Random) => void | Promise<void>;
}

/** How long a target's test may take at most, in milliseconds. */
export function fuzzTimeoutMs(name: keyof typeof SHARES): number {
  return shareMs(name) + 180_000;
}

/**
 * Tries what earlier runs have found, the corpus, then mutated inputs until the target's share of the time is over.
 * @throws Error with the seed that makes the input the first one
 * @returns how many inputs were tried
 */
export async function fuzz(target: Target): Promise<number> {
  const { corpus, maxBytes = 65_536 } = target;
  const dictionary = target.dictionary.map((word) => Buffer.from(word, 'latin1'));
  const first = fuzzSeed();
  const rss = process.memoryUsage.rss();
  const fixed = [...finds(target.name), ...corpus];
  for (const input of fixed) await attempt(target, { input, random: new Random(first), how: 'a fixed input' });
  const endMs = performance.now() + shareMs(target.name);
  let tried = 0;
  for (; tried === 0 || performance.now() < endMs; tried++) {
    const seed = (first + tried) >>> 0;
    const random = new Random(seed);
    const input = mutate(random, { corpus, dictionary, maxBytes });
    await attempt(target, { input, random, how: `VMLET_FUZZ_SEED=${seed}` });
  }
  const growth = process.memoryUsage.rss() - rss;
  if (growth > MAX_GROWTH_BYTES) throw new Error(`${target.name}: grew by ${growth} bytes over ${tried} inputs`);
  return fixed.length + tried;
}

async function attempt(
  target: Target,
  { input, random, how }: { input: Buffer; random: Random; how: string },
): Promise<void> {
  const shown = () =>
    `${target.name}: ${how}, ${input.length} bytes, base64 ${input.toString('base64').slice(0, 4096)}`;
  try {
    const running = target.run(input, random);
    if (running !== undefined) await Promise.race([running, hang()]);
  } catch (cause) {
    throw new Error(`${shown()}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Not a figure to be met: an input that is not done by then never is. */
async function hang(): Promise<never> {
  const late = AbortSignal.timeout(HANG_MS);
  await once(late, 'abort');
  throw new Error(`not done after ${HANG_MS} ms`);
}

function shareMs(name: keyof typeof SHARES): number {
  const all = Object.values(SHARES).reduce<number>((sum, share) => sum + share, 0);
  return (fuzzMs() * SHARES[name]) / all;
}

/** Inputs that broke a property once: `finds/<target>/<what>.base64`. */
function finds(name: string): Buffer[] {
  const folder = join(FINDS, name);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((file) => Buffer.from(readFileSync(join(folder, file), 'utf8'), 'base64'));
}
