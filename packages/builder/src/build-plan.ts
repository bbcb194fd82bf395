import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve as resolvePath } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readJsonIfExists } from '@vmlet/host';
import type { BaseTree } from './base.ts';
import { type Manifest, manifestSchema } from './manifest.ts';
import { differences, type Lock, readLock } from './packages/lock.ts';
import { requestOf } from './packages/resolve.ts';
import { type Filesystem, type ReadRecipe, RecipeError, readRecipe } from './recipe.ts';
import { findSbom } from './sbom/index.ts';
import type { InitFiles } from './stages/overlay.ts';

/** Raised when the way an image is made changes: a cached image of an older builder is not reused. */
export const BUILDER_VERSION = 3;

/** A runtime image on disk, in the cache, named by its bytes. */
export interface BuiltRuntime {
  manifest: Manifest;
  imagePath: string;
  /** The list of what is in it, SPDX; undefined for what was built before there was one. */
  sbomPath?: string | undefined;
  /** The lock file that it was built by; undefined for what comes of no recipe. */
  lockPath?: string | undefined;
}

/** What says which image a recipe is. */
export interface PlanOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  /** Gives what a recipe with `init: image` needs; not asked by others. */
  initFiles?: (() => Promise<InitFiles>) | undefined;
  /** Folder of the recipes that `extends` knows by name. Their lock files are kept in the cache. */
  official?: string | undefined;
  /** Another filesystem than the recipe's; the runtime is then named after it too: `NAME-ext4`. */
  filesystem?: Filesystem | undefined;
  /** Where the lock file is; `recipe.lock` beside the recipe unless told. */
  lockPath?: string | undefined;
  /** Gives what a recipe needs that extends a published runtime; not asked by others. */
  base?: BaseTree | undefined;
}

/** A recipe, and all that is known of what it will be. */
export interface Plan {
  read: ReadRecipe;
  lockPath: string;
  /** What the lock file says, whether it is that of the recipe or not. */
  written: Lock | undefined;
  /** In words, where the recipe is not what the lock file was written for. */
  disagreement: string | undefined;
  initFiles: InitFiles | undefined;
  /** SHA-256 of the files that the recipe names, in its order. */
  sources: string[];
  /** Folder of the images. */
  runtimes: string;
}

/**
 * Reads a recipe and what is beside it.
 * @param folder holds `recipe.yaml`
 * @throws RecipeError
 */
export async function makePlan(folder: string, options: PlanOptions): Promise<Plan> {
  const read = await readRecipe(join(folder, 'recipe.yaml'), options);
  const lockPath = options.lockPath ?? lockPathOf(folder, options);
  const written = await readLock(lockPath);
  const [difference] = written === undefined ? [] : differences(await requestOf(read), written.request);
  return {
    read,
    lockPath,
    written,
    disagreement:
      difference === undefined ? undefined : read.refuse(memberOf(difference.member), difference.what).message,
    initFiles: await initFilesOf(read, options),
    sources: await sourcesOf(read),
    runtimes: join(options.cache, 'runtimes'),
  };
}

/**
 * The lock file of a recipe of one's own stands beside it, to be kept with it. The official ones are installed with
 * vmlet, where nobody may write; and mirrors drop old versions, so that one that ages with the release helps nobody.
 */
function lockPathOf(folder: string, { official, cache }: PlanOptions): string {
  const isOfficial = official !== undefined && dirname(resolvePath(folder)) === resolvePath(official);
  return isOfficial ? join(cache, 'locks', `${basename(folder)}.lock`) : join(folder, 'recipe.lock');
}

function memberOf(member: string): string[] {
  return member === 'keyrings' ? ['keyring'] : [member];
}

/** Where the image of a plan is recorded. Named by what it is made of, so that a recipe that has changed has no record. */
export function recordPathOf({ read, initFiles, sources, runtimes }: Plan, lock: Lock): string {
  const { epochSeconds, packages, npm, base } = lock;
  const locked = [epochSeconds, packages.map(({ sha256 }) => sha256), npm, base];
  const inputs = [BUILDER_VERSION, read.recipe, sources, initFiles?.hash, locked];
  const key = createHash('sha256').update(JSON.stringify(inputs)).digest('hex');
  return join(runtimes, `${read.recipe.name}-${key.slice(0, 16)}.json`);
}

/** The image of a record, if it is in the cache as it was built. */
export async function findRecorded(runtimes: string, recordPath: string): Promise<BuiltRuntime | undefined> {
  const record = manifestSchema.safeParse(await readJsonIfExists(recordPath, { rebuildable: true }));
  if (!record.success) return undefined;
  const imagePath = imagePathOf(runtimes, record.data);
  const found = await stat(imagePath).catch(() => undefined);
  if (found?.size !== record.data.sizeBytes) return undefined;
  return { manifest: record.data, imagePath, sbomPath: await findSbom(recordPath) };
}

/** Where an image is kept. */
export function imagePathOf(
  runtimes: string,
  { fileHash, filesystem }: Pick<Manifest, 'fileHash' | 'filesystem'>,
): string {
  return join(runtimes, `${fileHash}.${filesystem}`);
}

async function initFilesOf({ recipe }: ReadRecipe, { initFiles }: PlanOptions): Promise<InitFiles | undefined> {
  if (recipe.init !== 'image') return undefined;
  if (initFiles !== undefined) return initFiles();
  throw new RecipeError(`Cannot build "${recipe.name}": "init: image" and no files of an init, expected both or none`);
}

function sourcesOf({ recipe, beside }: ReadRecipe): Promise<string[]> {
  const paths = [...(recipe.files ?? []).entries()].flatMap(([index, { source }]) =>
    source === undefined ? [] : [beside('files', index, 'source')],
  );
  return Promise.all(paths.map(sha256OfFile));
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
