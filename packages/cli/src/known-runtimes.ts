import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type BuiltRuntime, type Filesystem, findRuntime, type Manifest } from '@vmlet/builder';
import { type ReadRecipe, readRecipe } from '@vmlet/builder/recipe';
import { locateNode } from './client/locate.ts';
import { OwnerClient } from './client/owner.ts';
import type { ListedRuntime } from './client/owner-schema.ts';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';
import { initFilesOf } from './publish/init-files.ts';
import { type FoundRecipe, findOfficial, publishedOfficials, RECIPES } from './publish/official.ts';

/** A runtime that can be named here: by a recipe, by what was built of it, by what the node has. */
export interface KnownRuntime {
  readonly name: string;
  readonly version: string;
  /** The recipe's file; undefined for one that only the node knows. */
  readonly recipePath: string | undefined;
  /** Where it is another than the recipe's. */
  readonly filesystem?: Filesystem | undefined;
  /** Undefined where it was not built yet. */
  readonly manifest: Manifest | undefined;
  /** The image in the cache. */
  readonly imagePath: string | undefined;
  /** The list of what is in it, SPDX, where it was built here. */
  readonly sbomPath?: string | undefined;
  /** The STORE messages of these bytes. */
  readonly published: readonly { itemHash: string; address: string }[];
}

/** All of them: the official recipes first, then what else the node has. */
export async function knownRuntimes(context: Context): Promise<KnownRuntime[]> {
  const listed = await listedRuntimes(context);
  const own: KnownRuntime[] = [];
  for (const name of await publishedOfficials()) {
    const found = await findOfficial(name);
    if (found !== undefined) own.push(await ofRecipe(found, { listed, context }));
  }
  const matched = new Set(own.map(({ manifest }) => manifest?.fileHash));
  const others = new Map(listed.map((runtime) => [runtime.fileHash, runtime]));
  for (const { fileHash, manifest } of others.values()) {
    if (!matched.has(fileHash)) own.push(ofManifest(manifest, { listed, imagePath: undefined, recipePath: undefined }));
  }
  return own;
}

/**
 * The runtime that a text of the command line means: a recipe's folder or file, a name, a file_hash or an item_hash.
 * @throws CliError `RUNTIME_UNKNOWN`, RecipeError
 */
export async function findKnownRuntime(text: string, context: Context): Promise<KnownRuntime> {
  const folder = await recipeFolder(text, context.cwd);
  const recipe = folder === undefined ? await findOfficial(text) : { folder, filesystem: undefined };
  if (recipe !== undefined) return await ofRecipe(recipe, { listed: await listedRuntimes(context), context });
  const known = await knownRuntimes(context);
  const found = known.find(
    ({ name, manifest, published }) =>
      name === text || manifest?.fileHash === text || published.some(({ itemHash }) => itemHash === text),
  );
  if (found !== undefined) return found;
  const names = [...new Set(known.map(({ name }) => name))].join(', ');
  const operands = { runtime: text, found: 'no recipe, no name and no hash of one', known: names };
  throw new CliError('RUNTIME_UNKNOWN', { operands });
}

/**
 * A recipe that is to be built: given by its folder, by its file, or by the name of an official runtime, which may end
 * with another filesystem than the recipe's.
 * @throws CliError `RECIPE_UNREADABLE`
 */
export async function findRecipe(text: string, cwd: string): Promise<FoundRecipe> {
  const official = await findOfficial(text);
  if (official !== undefined) return official;
  const folder = await recipeFolder(text, cwd);
  if (folder !== undefined) return { folder, filesystem: undefined };
  const known = (await publishedOfficials()).join(', ');
  const operands = { path: text, found: 'there is no such folder or file', known };
  throw new CliError('RECIPE_UNREADABLE', { operands });
}

async function recipeFolder(text: string, cwd: string): Promise<string | undefined> {
  const path = resolve(cwd, text);
  const folder = basename(path) === 'recipe.yaml' ? dirname(path) : path;
  const found = await stat(join(folder, 'recipe.yaml')).catch(() => undefined);
  return found?.isFile() ? folder : undefined;
}

interface Known {
  listed: readonly ListedRuntime[];
  context: Context;
}

async function ofRecipe({ folder, filesystem }: FoundRecipe, { listed, context }: Known): Promise<KnownRuntime> {
  const recipePath = join(folder, 'recipe.yaml');
  const wanted = { official: RECIPES, filesystem };
  const { recipe }: ReadRecipe = await readRecipe(recipePath, wanted);
  const { cache } = context.paths;
  const initFiles = initFilesOf({ cache, signal: context.signal });
  const built: BuiltRuntime | undefined = await findRuntime(folder, { cache, initFiles, ...wanted });
  if (built !== undefined) {
    const { manifest, imagePath, sbomPath } = built;
    return { ...ofManifest(manifest, { listed, imagePath, recipePath }), filesystem, sbomPath };
  }
  const { name, version } = recipe;
  return { name, version, recipePath, filesystem, manifest: undefined, imagePath: undefined, published: [] };
}

function ofManifest(
  manifest: Manifest,
  at: { listed: readonly ListedRuntime[]; imagePath: string | undefined; recipePath: string | undefined },
): KnownRuntime {
  const { listed, imagePath, recipePath } = at;
  const published = listed
    .filter(({ fileHash }) => fileHash === manifest.fileHash)
    .map(({ itemHash, address }) => ({ itemHash, address }));
  return { name: manifest.name, version: manifest.version, recipePath, manifest, imagePath, published };
}

/** What the node has; nothing where none runs, for recipes are there without one. */
async function listedRuntimes(context: Context): Promise<ListedRuntime[]> {
  try {
    const { ownerSocket } = await locateNode(context);
    return ownerSocket === undefined ? [] : await new OwnerClient(ownerSocket).runtimes(context.signal);
  } catch (error) {
    const isAbsent = error instanceof CliError && /^NODE_(NOT_RUNNING|UNREACHABLE)$/.test(error.code);
    if (!isAbsent) throw error;
    return [];
  }
}
