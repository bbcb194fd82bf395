/** What of the environment makes tests longer; the one place that reads it. */

/** Set by `npm run test:all`. */
const ALL = process.env.VMLET_TEST_ALL === '1';
/** Seconds of fuzzing in all, over all targets: half a minute in `npm test`, ten in `npm run test:all`. */
const FUZZ_SECONDS = { usual: 30, all: 600 };
const CLONES = { usual: 4, all: 200 };

/** How long all fuzzing together takes, in milliseconds. `VMLET_FUZZ_SECONDS` sets it. */
export function fuzzMs(): number {
  const given = Number(process.env.VMLET_FUZZ_SECONDS);
  const seconds = given > 0 ? given : ALL ? FUZZ_SECONDS.all : FUZZ_SECONDS.usual;
  return seconds * 1000;
}

/** How many clones of one snapshot are compared with each other: as many as one sees in passing, or 200. */
export function cloneCount(): number {
  return ALL ? CLONES.all : CLONES.usual;
}

/** What `npm test` begins with: a change is judged by its own faults, and new inputs are looked for by `test:all`. */
const USUAL_SEED = 20_261_124;

/** The seed to begin with: that of a failure makes its input the first one. `VMLET_FUZZ_SEED` sets it. */
export function fuzzSeed(): number {
  const given = process.env.VMLET_FUZZ_SEED;
  if (given === undefined) return ALL ? Date.now() >>> 0 : USUAL_SEED;
  return Number(given) >>> 0;
}

/** How many inputs a test of properties tries: more with `VMLET_TEST_ALL`. */
export function inputs({ usual, all }: { usual: number; all: number }): number {
  return ALL ? all : usual;
}

/** Recipes that each run builds: the smallest, and the one that all tests stand on. */
const USUAL_RUNTIMES = ['minimal', 'debian-12-python'];

/** What only the longer run tries. */
export function others<T>(all: readonly T[]): T[] {
  return ALL ? [...all] : [];
}

/** Which of the official runtimes a test of all of them is about. */
export function officialNames(all: readonly string[]): string[] {
  return ALL ? [...all] : all.filter((name) => USUAL_RUNTIMES.includes(name));
}

/** Rows of a table whose tests take long: some of them in passing, all of them by `npm run test:all`. */
export function rowsOf<T>(all: readonly T[], isUsual: (row: T) => boolean): T[] {
  return ALL ? [...all] : all.filter(isUsual);
}
