import type { Manifest } from '../manifest.ts';
import type { Recipe } from '../recipe.ts';
import type { TreeSurvey } from './survey-schema.ts';

/** What a manifest says of the content, beside what its recipe says. */
export type Facts = Pick<Manifest, 'osRelease' | 'packages' | 'unpackedBytes' | 'largestPackages'>;

const MAX_LARGEST = 10;

/** The facts of a tree, as its manifest has them. */
export function factsOf({ osRelease, manager, packages, unpackedBytes }: TreeSurvey): Facts {
  const sized = packages.flatMap(({ name, version, installedBytes }) =>
    installedBytes === undefined ? [] : [{ name, version, installedBytes }],
  );
  const largest = sized.sort((a, b) => b.installedBytes - a.installedBytes || (a.name < b.name ? -1 : 1));
  return {
    osRelease,
    packages: { manager, count: packages.length },
    unpackedBytes,
    ...(largest.length === 0 ? {} : { largestPackages: largest.slice(0, MAX_LARGEST) }),
  };
}

/** The oldest kernel with a filesystem, and with what it may be compressed with. */
const SINCE: Readonly<Record<string, string>> = {
  erofs: '5.4',
  squashfs: '2.6.29',
  'squashfs lz4': '3.19',
  'squashfs xz': '2.6.38',
  'squashfs zstd': '4.14',
  ext4: '3.6',
  btrfs: '3.7',
};
/** erofs with more than 4 KiB at once. */
const SINCE_BIG_CLUSTERS = '5.13';
/** init0 lays a writable layer over the image. */
const SINCE_OVERLAY = '3.18';

/** What a kernel has to have, to be booted with an image of this recipe. */
export function kernelNeeds({ filesystem, init }: Pick<Recipe, 'filesystem' | 'init'>): Manifest['kernel'] {
  const { format, compression, clusterKiB = 4 } = filesystem;
  const needs = [SINCE[`${format} ${compression}`] ?? SINCE[format] ?? '0'];
  if (format === 'erofs' && compression !== 'none' && clusterKiB > 4) needs.push(SINCE_BIG_CLUSTERS);
  const isDistribution = init === 'distribution';
  if (!isDistribution) needs.push(SINCE_OVERLAY);
  return {
    modules: isDistribution ? [format] : [format, 'overlay'],
    minVersion: needs.sort(compareVersions).at(-1) ?? '0',
  };
}

function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((text) => text.split('.').map(Number));
  for (let index = 0; index < 3; index += 1) {
    const difference = (a?.[index] ?? 0) - (b?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
