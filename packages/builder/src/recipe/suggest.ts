/** Words of mkosi, mmdebstrap, Docker and Compose, by what a recipe calls the same thing. */
const WORDS_OF_OTHERS: Readonly<Record<string, string>> = {
  release: 'suite',
  codename: 'suite',
  distro: 'distribution',
  arch: 'architecture',
  architectures: 'architecture',
  base: 'extends',
  basetrees: 'extends',
  from: 'extends',
  mirror: 'mirrors',
  repositories: 'components',
  imageid: 'name',
  imageversion: 'version',
  apt: 'packages',
  dependencies: 'packages',
  install: 'packages',
  removefiles: 'remove',
  extratrees: 'files',
  skeletontrees: 'files',
  copy: 'files',
  postinstallationscripts: 'run',
  script: 'run',
  scripts: 'run',
  commands: 'run',
  env: 'environment',
  username: 'user',
  volumes: 'directories',
};
/** Mistakes of this many letters, in a word of three times as many, are taken for slips of the finger. */
const MAX_SLIPS = 3;

/** @returns the word of `known` that was probably meant, or undefined */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase().replace(/[^a-z0-9]/g, '');
  const same = known.find((name) => name.toLowerCase() === lower);
  const meant = same ?? WORDS_OF_OTHERS[lower];
  if (meant !== undefined && known.includes(meant)) return meant;
  // Nothing that long is a slip, and the table below takes time by length.
  if (lower.length > 32) return undefined;
  const near = known
    .map((name) => ({ name, slips: slipsBetween(lower, name.toLowerCase()) }))
    .filter(({ name, slips }) => slips <= Math.min(MAX_SLIPS, Math.ceil(Math.max(name.length, lower.length) / 3)))
    .toSorted((a, b) => a.slips - b.slips);
  return near[0]?.name;
}

/** Letters that are missing, too many, wrong, or swapped with their neighbour. */
function slipsBetween(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const line = [row];
    for (let column = 1; column <= b.length; column++) {
      const wrong = a[row - 1] === b[column - 1] ? 0 : 1;
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      line.push(
        Math.min(
          (above[column] ?? 0) + 1,
          (line[column - 1] ?? 0) + 1,
          (above[column - 1] ?? 0) + wrong,
          swapped ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    [before, above] = [above, line];
  }
  return above[b.length] ?? 0;
}
