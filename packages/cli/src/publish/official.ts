import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Filesystem, splitName } from '@vmlet/builder';
import { readRecipe } from '@vmlet/builder/recipe';

/** The recipes of the official runtimes, each in a folder of its name. */
export const RECIPES = fileURLToPath(new URL('../../../../runtimes', import.meta.url));

/** A recipe that is there, and the filesystem that is wanted of it where that is not its own. */
export interface FoundRecipe {
  readonly folder: string;
  readonly filesystem: Filesystem | undefined;
}

/** Those that are published in another filesystem than their recipe's too: what they stand in for has that one. */
const IN_OTHER_FILESYSTEMS = ['debian-11-node-ext4', 'debian-12-python-ext4'];

/** Names of the runtimes that this vmlet has recipes of. */
export async function officialRuntimes(): Promise<string[]> {
  const entries = await readdir(RECIPES, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** Those of them that run programs: the others are systems of their own. */
export async function programRuntimes(): Promise<string[]> {
  const names = await officialRuntimes();
  const runs = await Promise.all(
    names.map(async (name) => {
      const { recipe } = await readRecipe(join(RECIPES, name, 'recipe.yaml'), { official: RECIPES });
      return recipe.init !== 'distribution';
    }),
  );
  return names.filter((_name, index) => runs[index]);
}

/** All of them, and those that are published in another filesystem too. */
export async function publishedOfficials(): Promise<string[]> {
  return [...(await officialRuntimes()), ...IN_OTHER_FILESYSTEMS].toSorted();
}

/** The recipe of an official runtime: by its name, or by that and a filesystem, such as `debian-12-python-ext4`. */
export async function findOfficial(name: string): Promise<FoundRecipe | undefined> {
  const names = await officialRuntimes();
  if (names.includes(name)) return { folder: join(RECIPES, name), filesystem: undefined };
  const { recipe, filesystem } = splitName(name);
  return names.includes(recipe) ? { folder: join(RECIPES, recipe), filesystem } : undefined;
}
