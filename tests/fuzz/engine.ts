import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { idleTimer } from '../../packages/node/src/deadline.ts';
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
  'guest-calls': 3,
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
/** What may be held after a run and was not before it, collected: far over what parsers keep of one input. */
const MAX_GROWTH_BYTES = 128 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

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
  const before = heldBytes();
  let hangs = (_cause: Error): void => undefined;
  // Not a figure to be met: an input that is not done by then never is.
  using watch = idleTimer(HANG_MS, () => hangs(new Error(`not done after ${HANG_MS} ms`)));
  const attempt = async (input: Buffer, random: Random, how: string) => {
    watch.arm();
    // What a parser leaves to the event loop, the destruction of streams for one, is to happen.
    await new Promise((resolve) => void setImmediate(resolve));
    try {
      const running = target.run(input, random);
      if (running === undefined) return;
      // A promise for each input: a race against one that never settles would keep what waits for it, input by input.
      await new Promise<void>((resolve, reject) => {
        hangs = reject;
        running.then(resolve, reject);
      });
    } catch (cause) {
      const shown = `${target.name}: ${how}, ${input.length} bytes, base64 ${input.toString('base64').slice(0, 4096)}`;
      throw new Error(`${shown}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  };
  const fixed = [...finds(target.name), ...corpus];
  for (const input of fixed) await attempt(input, new Random(first), 'a fixed input');
  const endMs = performance.now() + shareMs(target.name);
  let tried = 0;
  for (; tried === 0 || performance.now() < endMs; tried++) {
    const seed = (first + tried) >>> 0;
    const random = new Random(seed);
    await attempt(mutate(random, { corpus, dictionary, maxBytes }), random, `VMLET_FUZZ_SEED=${seed}`);
  }
  const growth = heldBytes() - before;
  if (growth > MAX_GROWTH_BYTES) throw new Error(`${target.name}: holds ${growth} bytes more after ${tried} inputs`);
  return fixed.length + tried;
}

function heldBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
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
