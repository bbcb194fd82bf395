import { filesystemSchema, type Recipe } from '../schema.ts';

/** A kind of filesystem that an image can have. */
export type Filesystem = Recipe['filesystem']['format'];

/** All of them, as a command line offers them. */
export const FILESYSTEMS = ['erofs', 'squashfs', 'ext4', 'btrfs'] as const satisfies readonly Filesystem[];

/** Those that have free space beside their content. */
const WRITABLE: readonly Filesystem[] = ['ext4', 'btrfs'];
const MAX_NAME_LENGTH = 63;

/**
 * A recipe in another filesystem than its own: a runtime of its own, named after both, such as `debian-12-python-ext4`.
 * What the recipe says of compression and size is of its own filesystem, and not taken over; what is to be left free is.
 * Its own filesystem changes nothing.
 */
export function inFilesystem(recipe: Recipe, filesystem: Filesystem | undefined): Recipe {
  if (filesystem === undefined || filesystem === recipe.filesystem.format) return recipe;
  const { freeMiB } = recipe.filesystem;
  const free = freeMiB === undefined || !WRITABLE.includes(filesystem) ? {} : { freeMiB };
  const ending = `-${filesystem}`;
  const name = `${recipe.name.slice(0, MAX_NAME_LENGTH - ending.length)}${ending}`;
  return { ...recipe, name, filesystem: filesystemSchema.parse({ format: filesystem, ...free }) };
}

/** A name of {@link inFilesystem} taken apart; `filesystem` is undefined where it ends with none. */
export function splitName(name: string): { recipe: string; filesystem: Filesystem | undefined } {
  const filesystem = FILESYSTEMS.find((one) => name.endsWith(`-${one}`));
  return { recipe: filesystem === undefined ? name : name.slice(0, -filesystem.length - 1), filesystem };
}
