import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type Filesystem, type ReadRecipe, type Recipe, readRecipe } from '../recipe.ts';

/** A recipe that can be built elsewhere: all that it needs, but for packages. */
export interface PortableRecipe {
  /** Text of `recipe.yaml`. */
  readonly text: string;
  /** Files that it names: their path relative to it, and where they are on this host. */
  readonly files: ReadonlyMap<string, string>;
}

/**
 * A recipe with what it needs from beside it. One that stands by itself stays as it was written; one that is built on
 * others becomes the recipe that they come to.
 * @param folder holds `recipe.yaml`
 * @throws RecipeError
 */
export async function portableRecipe(
  folder: string,
  options: { official?: string | undefined; filesystem?: Filesystem | undefined } = {},
): Promise<PortableRecipe> {
  const path = join(folder, 'recipe.yaml');
  const read = await readRecipe(path, options);
  const text = await readFile(path, 'utf8');
  const written: unknown = parse(text, { maxAliasCount: 0 });
  const isOnFolder = Object(written).extends !== undefined && read.recipe.extends === undefined;
  const isMerged = isOnFolder || options.filesystem !== undefined;
  const files = new Map<string, string>();
  const name = (own: string, host: string) => {
    // Of several folders, two may have files of the same name.
    const used = isMerged ? `files/${files.size}-${basename(own)}` : own;
    files.set(used, host);
    return used;
  };
  const merged = withNames(read, name);
  return { text: isMerged ? stringify(merged) : text, files };
}

/** The recipe with each file that it names under the name that it gets. */
function withNames({ recipe, beside }: ReadRecipe, name: (own: string, host: string) => string): Recipe {
  const { files, mirrors, keyring } = recipe;
  return {
    ...recipe,
    ...(files && {
      files: files.map((one, index) =>
        one.source === undefined ? one : { ...one, source: name(one.source, beside('files', index, 'source')) },
      ),
    }),
    ...(mirrors && {
      mirrors: mirrors.map((one, index) =>
        one.keyring === undefined ? one : { ...one, keyring: name(one.keyring, beside('mirrors', index, 'keyring')) },
      ),
    }),
    ...(keyring !== undefined && { keyring: name(keyring, beside('keyring')) }),
  };
}
