import { realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { z } from 'zod';
import { readDocument } from './recipe/document.ts';
import { type Fault, faultAt, type RecipeError, refusal } from './recipe/fault.ts';
import { type Filesystem, inFilesystem } from './recipe/filesystem.ts';
import { faultsOf } from './recipe/issues.ts';
import { mergeRecipes } from './recipe/merge.ts';
import { type MemberPath, nodeAt, placeOf, plainValue, type RecipeNode, type Source } from './recipe/node.ts';
import { faultsOfFiles, pathBeside, readSource } from './recipe/source.ts';
import { refusedTogether } from './recipe/together.ts';
import { type Recipe, recipeFileSchema, recipeSchema } from './schema.ts';

export { RecipeError } from './recipe/fault.ts';
export { FILESYSTEMS, type Filesystem, splitName } from './recipe/filesystem.ts';
export type { Recipe } from './schema.ts';

const RECIPE_FILE = 'recipe.yaml';
/** As many recipes as may stand on one another. */
const MAX_EXTENDS_DEPTH = 16;

/** A recipe as it is understood, with where each of its members was written. */
export interface ReadRecipe {
  recipe: Recipe;
  /** Of the file that was read; what it extends may be others. */
  path: string;
  /** Where a member was written: `recipe.yaml:12`, in whichever file. What is missing is missing from what is above it. */
  at(...path: (string | number)[]): string;
  /** The host's path of the file that a member names: beside the recipe in which the member stands. */
  beside(...path: (string | number)[]): string;
  /** An error that points at a member. `message` says what was found and what was expected. */
  refuse(path: readonly (string | number)[], message: string, options?: ErrorOptions): RecipeError;
}

export interface ReadOptions {
  /** Folder whose folders are recipes that `extends` knows by name. */
  official?: string | undefined;
  /** Another filesystem than the recipe's: the runtime is then named after it too, see {@link inFilesystem}. */
  filesystem?: Filesystem | undefined;
}

/**
 * Reads and checks a recipe's file and the recipes that it extends.
 * @throws RecipeError with all faults, each with `file:line:column: ` in front
 */
export async function readRecipe(path: string, options: ReadOptions = {}): Promise<ReadRecipe> {
  const root = await readLayers(path, { ...options, above: [] });
  const recipe = understood(root, options.filesystem);
  const named: MemberPath[] = [
    ...[...(recipe.files ?? []).entries()].flatMap(([index, { source }]) =>
      source ? [['files', index, 'source']] : [],
    ),
    ...[...(recipe.mirrors ?? []).entries()].flatMap(([index, { keyring }]) =>
      keyring ? [['mirrors', index, 'keyring']] : [],
    ),
    ...(recipe.keyring === undefined ? [] : [['keyring']]),
  ];
  const faults = await faultsOfFiles(root, named);
  if (faults.length > 0) throw refusal(faults);
  return readRecipeOf(root, recipe, path);
}

/** Checks the text of a recipe that stands by itself. `path` is only named in errors. */
export function parseRecipe(text: string, path: string): Recipe {
  return understood(checkedFile({ path, text }));
}

function readRecipeOf(root: RecipeNode, recipe: Recipe, path: string): ReadRecipe {
  return {
    recipe,
    path,
    at: (...member) => {
      const { source, line } = placeOf(root, member);
      return `${source.path}:${line}`;
    },
    beside: (...member) => pathBeside(root, member),
    refuse: (member, message, options) => refusal([faultAt(root, member, message)], options),
  };
}

type MapNode = RecipeNode & { kind: 'map' };

interface LayerOptions extends ReadOptions {
  /** The real paths of the recipes that this one is to be merged into. */
  above: readonly string[];
}

/** A recipe with all recipes below it merged in. What is left of `extends` names a published runtime. */
async function readLayers(path: string, { official, above }: LayerOptions): Promise<MapNode> {
  const own = checkedFile(await readSource(path));
  const extended = own.members.get('extends');
  const folder = await folderOf(extended, { path, official });
  if (extended === undefined || folder === undefined) return own;
  const refuse = (message: string) => refusal([faultAt(own, ['extends'], message)]);
  const below = join(folder, RECIPE_FILE);
  const seen = [...above, await realpath(path)];
  const real = await realpath(below).catch(() => undefined);
  if (real === undefined) throw refuse(`expected a folder with "${RECIPE_FILE}", found none at "${folder}"`);
  if (seen.includes(real)) throw refuse(`expected no circle, found that "${below}" extends this recipe`);
  if (seen.length >= MAX_EXTENDS_DEPTH) throw refuse(`expected at most ${MAX_EXTENDS_DEPTH} recipes on one another`);
  return mergeRecipes(await readLayers(below, { official, above: seen }), own);
}

async function folderOf(
  extended: RecipeNode | undefined,
  { path, official }: { path: string; official: string | undefined },
): Promise<string | undefined> {
  if (extended?.kind !== 'scalar') return undefined;
  const name = String(extended.value);
  if (name.startsWith('.')) return join(dirname(path), name);
  if (official === undefined || name.includes('/')) return undefined;
  const folder = join(official, name);
  const found = await stat(join(folder, RECIPE_FILE)).catch(() => undefined);
  return found === undefined ? undefined : folder;
}

/** @throws RecipeError for what is wrong with a file by itself */
function checkedFile(source: Source): MapNode {
  const root = readDocument(source);
  const faults = faultsBy(recipeFileSchema, root);
  if (!nodeAt(root, ['extends']) && root.kind === 'map') {
    for (const name of ['distribution', 'suite'])
      if (!root.members.has(name)) faults.push(faultAt(root, [name], 'expected text, found nothing'));
  }
  if (faults.length > 0 || root.kind !== 'map') throw refusal(faults);
  return root;
}

/** @throws RecipeError for what does not go together */
function understood(root: MapNode, filesystem?: Filesystem): Recipe {
  const isOnPublished = root.members.has('extends');
  const value = { ...(isOnPublished ? { distribution: 'custom', suite: 'custom' } : {}), ...Object(plainValue(root)) };
  const parsed = recipeSchema.safeParse(value);
  if (!parsed.success) throw refusal(faultsOf(recipeSchema, parsed.error, root));
  const recipe = inFilesystem(parsed.data, filesystem);
  const refused = refusedTogether(recipe);
  if (isOnPublished && root.members.has('variant'))
    refused.push({ path: ['variant'], message: 'expected none with a published runtime' });
  if (refused.length > 0) throw refusal(refused.map(({ path, message }) => faultAt(root, path, message)));
  return recipe;
}

function faultsBy(schema: z.ZodType, root: RecipeNode): Fault[] {
  const parsed = schema.safeParse(plainValue(root));
  return parsed.success ? [] : faultsOf(schema, parsed.error, root);
}
