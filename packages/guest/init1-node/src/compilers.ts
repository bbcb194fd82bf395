/** Keeps V8 from compiling what is merely warm, in the first moments of a clone. */
import { join } from 'path';

/**
 * V8's compilers, by the flags that switch them. What a clone's first request would tip over is compiled by code that has
 * never run in that machine: some 30,000 blocks of it, 40 to 100 ms under emulation.
 */
const COMPILERS = ['sparkplug', 'turbofan'] as const;
/** On by default in versions after 22 only: on is how it would be left. */
const MIDDLE_COMPILER = 'maglev';
/** From here on the first of them is on by default. */
const FIRST_VERSION = 22;
/** How long a clone does without, in milliseconds of its own running time. A first answer takes half of it. */
const HELD_MS = 150;
const CHOSEN = /--(no-?)?(sparkplug|maglev|turbofan|opt)\b/;

/** Of `compilers.c`, which sets flags even while the program computes. */
interface Addon {
  /** 1 if `start` may be called, 0 where the Node that runs has not what it takes. */
  prepare(flags: Buffer, delayMs: number): number;
  start(): void;
}

let addon: Addon | undefined;
let isHeld = false;

/** Stops the compilers, for good or until they are released. What was compiled by now stays quick. */
export function holdCompilers(): void {
  const major = Number.parseInt(process.versions.node, 10);
  if (major < FIRST_VERSION || isChosen()) return;
  const names = major > FIRST_VERSION ? [...COMPILERS, MIDDLE_COMPILER] : COMPILERS;
  addon ??= loadAddon();
  isHeld = addon.prepare(Buffer.from(names.map((name) => `--${name}`).join(' ')), HELD_MS) === 1;
  // What could not be let go on is not stopped.
  if (isHeld) for (const name of names) (require('v8') as typeof import('v8')).setFlagsFromString(`--no-${name}`);
}

/** Lets them go on, a while after a clone has begun, whatever its program does by then. */
export function releaseCompilers(): void {
  if (isHeld) addon?.start();
  isHeld = false;
}

function loadAddon(): Addon {
  const path = join(__dirname, 'compilers.node');
  const loaded = require(path) as Addon;
  delete require.cache[path];
  return loaded;
}

/** Whoever chose for themselves is not to have another choice made for them. */
function isChosen(): boolean {
  const { NODE_OPTIONS = '' } = process.env;
  return [...process.execArgv, NODE_OPTIONS].some((options) => CHOSEN.test(options));
}
