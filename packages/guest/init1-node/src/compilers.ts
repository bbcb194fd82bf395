/** Keeps V8 from compiling for speed in the first moments of a clone. */

/** With these V8 compiles what runs often. All of them are on from this version of Node on. */
const FLAGS = ['sparkplug', 'maglev', 'opt'];
const FIRST_VERSION = 22;
/** How long a clone does without, in milliseconds: it has given its first answer by then, even where it is emulated. */
const HELD_MS = 500;

let isHeld = false;

/**
 * Stops V8's compilers, for good or until they are released. What a program has compiled by now stays quick; but a
 * clone's first request would tip some function over, and wait for a compiler that has never run in that machine.
 */
export function holdCompilers(): void {
  if (Number.parseInt(process.versions.node, 10) < FIRST_VERSION || isHeld || isChosen()) return;
  isHeld = true;
  setFlags('--no-');
}

/** Lets them go on, a moment after a clone has begun. */
export function releaseCompilers(): void {
  if (!isHeld) return;
  isHeld = false;
  // biome-ignore lint/style/noRestrictedGlobals: nothing waits for it, and no event says that a start is over
  setTimeout(() => setFlags('--'), HELD_MS).unref();
}

function setFlags(prefix: string): void {
  const { setFlagsFromString } = require('v8') as typeof import('v8');
  for (const flag of FLAGS) setFlagsFromString(prefix + flag);
}

/** Whoever chose a compiler is not to have another one chosen for them. */
function isChosen(): boolean {
  const { NODE_OPTIONS = '' } = process.env;
  return FLAGS.some((flag) => [...process.execArgv, NODE_OPTIONS].some((options) => options.includes(flag)));
}
