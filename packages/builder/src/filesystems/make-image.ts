import { join } from 'node:path';
import type { Box } from '../box/index.ts';
import { explainFailure } from '../disk-full.ts';
import type { Recipe } from '../recipe.ts';
import { makeBtrfs } from './btrfs.ts';
import { makeExt4 } from './ext4.ts';
import type { MakeIn } from './make.ts';
import { makeErofsImage, makeSquashfs } from './read-only.ts';
import { uuidOf } from './steadily.ts';

export interface MakeImageOptions {
  /** The tree, a folder of the box's work folder. Its owners are those that the box sees; no time is after `epochSeconds`. */
  tree: string;
  /** Name of the image, in the work folder; what was there goes. */
  image: string;
  filesystem: Recipe['filesystem'];
  /** In seconds since the epoch: when the image was made, as far as it says. */
  epochSeconds: number;
  /** Of ext4 (its first 16 bytes) and btrfs; the others have none. */
  label?: string;
  signal?: AbortSignal | undefined;
}

/** The box's work folder, as the box sees it. */
const WORK = '/work';

const MAKERS: Readonly<Record<Recipe['filesystem']['format'], (making: MakeIn) => Promise<void>>> = {
  erofs: makeErofsImage,
  squashfs: makeSquashfs,
  ext4: makeExt4,
  btrfs: makeBtrfs,
};

/**
 * Makes a filesystem image of a tree, in the box. The same tree, options and versions of the tools give the same bytes;
 * folder, disk, order of inodes, time, holes, and who builds make no difference. Nothing is mounted.
 *
 * Kept are owners, modes with setuid, times, hard links, symbolic links, pipes, whiteouts and extended attributes
 * (squashfs: no ACLs; btrfs: the root folder is root's with mode 0755). If it fails, no image is left.
 * @throws DiskFull; RecipeError when the format cannot hold the tree; CommandFailed
 */
export async function makeImage(box: Box, options: MakeImageOptions): Promise<void> {
  const { tree, image, filesystem, epochSeconds, label = '', signal } = options;
  const uuid = uuidOf('vmlet filesystem', filesystem.format, label, String(epochSeconds));
  const making = {
    box,
    tree: join(WORK, tree),
    image: join(WORK, image),
    filesystem,
    epochSeconds,
    label,
    uuid,
    signal,
  };
  await box.run(['rm', '-rf', making.image], { signal });
  try {
    await MAKERS[filesystem.format](making);
  } catch (error) {
    const explained = await explainFailure(error, box.work);
    // What went wrong is the news, and the box takes along whatever is in it.
    await box.run(['rm', '-f', making.image]).catch(() => {});
    throw explained;
  }
}
