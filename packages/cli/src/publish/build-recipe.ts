import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuiltRuntime, ensureRuntime, type Filesystem, findRuntime } from '@vmlet/builder';
import { readLock } from '@vmlet/builder/publishing';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { findRecipe } from '../known-runtimes.ts';
import type { Output } from '../output.ts';
import { baseTreeOf } from './base-tree.ts';
import { initFilesOf } from './init-files.ts';
import { RECIPES } from './runtime.ts';
import { fetchStoredPackages } from './stored-file.ts';

/** How a recipe is built. */
export interface RecipeSettings {
  filesystem?: Filesystem | undefined;
  locked?: boolean | undefined;
  update?: boolean | undefined;
  /** False to run each step again. */
  cache?: boolean | undefined;
}

/** Tells the steps of a build; those that need not be done are told with it, on a terminal or not. */
export function tellBuild(output: Output) {
  return (step: string, detail?: string) =>
    detail === 'cached' ? output.step(`${step}: cached`) : output.step(step, detail);
}

/**
 * Builds a recipe, or takes it from the cache.
 * @throws CliError `RECIPE_UNREADABLE`, `OPTION_MALFORMED`; RecipeError, BoxUnavailable
 */
export async function buildRecipe(
  recipe: string,
  settings: RecipeSettings,
  context: Context,
): Promise<BuiltRuntime & { cached: boolean }> {
  const { output, paths, cwd, signal } = context;
  const { filesystem, locked = false, update = false } = settings;
  const noCache = settings.cache === false;
  if (locked && update) {
    const operands = {
      option: '--update',
      found: 'with --locked',
      expected: 'one of both',
      help: 'vmlet runtime build --help',
    };
    throw new CliError('OPTION_MALFORMED', { operands });
  }
  const found = await findRecipe(recipe, cwd);
  const { cache } = paths;
  const onProgress = tellBuild(output);
  const initFiles = initFilesOf({ cache, onProgress, signal });
  const wanted = { cache, initFiles, filesystem: filesystem ?? found.filesystem, official: RECIPES };
  const base = baseTreeOf(context);
  const known = noCache || update ? undefined : await findRuntime(found.folder, wanted);
  if (known !== undefined) return { ...known, cached: true };
  if (locked) await takeStored(found.folder, context);
  const built = await ensureRuntime(found.folder, { ...wanted, base, locked, update, noCache, onProgress, signal });
  return { ...built, cached: false };
}

/** Packages that mirrors may have dropped, from the node, where one runs and has them. */
async function takeStored(folder: string, context: Context): Promise<void> {
  const { output, paths, signal } = context;
  const lock = await readLock(join(folder, 'recipe.lock'));
  if (lock === undefined) return;
  try {
    const api = new PublicApi((await locateNode(context)).url);
    const has = (path: string) =>
      access(path).then(
        () => true,
        () => false,
      );
    const onProgress = (detail: string) => output.step('Looking for packages at the node', detail);
    await fetchStoredPackages(lock, { api, signal, cache: paths.cache, has, onProgress });
  } catch (error) {
    // The mirrors are there still.
    if (!(error instanceof CliError) || !/^NODE_(NOT_RUNNING|UNREACHABLE)$/.test(error.code)) throw error;
  }
}
