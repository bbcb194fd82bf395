/** Keeps V8 from compiling what is merely warm, in the first moments of a clone. */

/**
 * V8's first compiler, for what has run a few times. What computes for long is compiled by others, which nobody holds:
 * without those a loop of a second takes eight.
 */
const FLAG = 'sparkplug';
/** From here on it is on by default. */
const FIRST_VERSION = 22;
/** How long a clone does without, in milliseconds of its own running time. */
const HELD_MS = 5000;

let isHeld = false;

/**
 * Stops the compiler, for good or until it is released. What was compiled by now stays quick; but a clone's first request
 * would tip some function over, and wait for code of the compiler that has never run in that machine: 10,000 blocks of
 * it, 50 ms under emulation.
 */
export function holdCompiler(): void {
  if (Number.parseInt(process.versions.node, 10) < FIRST_VERSION || isHeld || isChosen()) return;
  isHeld = true;
  setFlag(`--no-${FLAG}`);
}

/** Lets it go on, a while after a clone has begun. */
export function releaseCompiler(): void {
  if (!isHeld) return;
  isHeld = false;
  // biome-ignore lint/style/noRestrictedGlobals: nothing waits for it, and no event says that a start is over
  setTimeout(() => setFlag(`--${FLAG}`), HELD_MS).unref();
}

function setFlag(flag: string): void {
  (require('v8') as typeof import('v8')).setFlagsFromString(flag);
}

/** Whoever chose for themselves is not to have another choice made for them. */
function isChosen(): boolean {
  const { NODE_OPTIONS = '' } = process.env;
  return [...process.execArgv, NODE_OPTIONS].some((options) => options.includes(FLAG));
}
