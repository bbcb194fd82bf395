import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, readFile, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeWorkFolder, readJsonIfExists, writeFileAtomic } from '@vmlet/host';
import { makeErofs } from './filesystems/erofs.ts';
import { type Manifest, manifestSchema } from './manifest.ts';
import { type ReadRecipe, type Recipe, RecipeError, readRecipe } from './recipe.ts';
import { bootstrap } from './stages/bootstrap.ts';
import { extract } from './stages/extract.ts';
import { type InitFiles, makeOverlay, OVERLAY_UNIX_TIME } from './stages/overlay.ts';
import { runInside } from './stages/run-inside.ts';

/** Raised when the way an image is made changes: a cached image of an older builder is not reused. */
const BUILDER_VERSION = 2;

/** A runtime image on disk, in the cache, named by its bytes. */
export interface BuiltRuntime {
  manifest: Manifest;
  imagePath: string;
  /** The list of what is in it, SPDX; undefined for what was built before there was one. */
  sbomPath?: string | undefined;
}

export interface BuildOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  /** Told each step as it starts, and what a long step is doing. */
  onProgress?: (step: string, detail?: string) => void;
  /** Gives what a recipe with `init: image` needs; not asked by others. */
  initFiles?: (() => Promise<InitFiles>) | undefined;
  /** Folder of the recipes that `extends` knows by name. */
  official?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** What says which image a recipe is. */
export type FindOptions = Pick<BuildOptions, 'cache' | 'initFiles' | 'official'>;

/**
 * The runtime of a recipe, if it was built before and is in the cache as it was built.
 * @param folder holds `recipe.yaml`
 * @throws RecipeError
 */
export async function findRuntime(folder: string, options: FindOptions): Promise<BuiltRuntime | undefined> {
  const read = await readRecipe(join(folder, 'recipe.yaml'), options);
  const { recipe } = read;
  const initFiles = await initFilesOf(recipe, options);
  const runtimes = join(options.cache, 'runtimes');
  return await findBuilt(runtimes, await recordPathOf(read, { runtimes, initFiles }));
}

/**
 * The runtime of a recipe: from the cache when its recipe was built before, else built now (about a minute).
 * The image appears in the cache whole or not at all.
 * @param folder holds `recipe.yaml`
 * @throws RecipeError, CommandFailed
 */
export async function ensureRuntime(folder: string, options: BuildOptions): Promise<BuiltRuntime> {
  const recipePath = join(folder, 'recipe.yaml');
  const read = await readRecipe(recipePath, options);
  const { recipe } = read;
  const initFiles = await initFilesOf(recipe, options);
  const runtimes = join(options.cache, 'runtimes');
  const recordPath = await recordPathOf(read, { runtimes, initFiles });
  const known = await findBuilt(runtimes, recordPath);
  if (known) return known;

  await using work = await makeWorkFolder(runtimes, recipe.name);
  const built = await build(read, { ...options, work: work.path, ownInit: initFiles });
  await rename(built.imagePath, imagePathOf(runtimes, built.manifest));
  await writeFileAtomic(recordPath, `${JSON.stringify(built.manifest, null, 2)}\n`);
  return { manifest: built.manifest, imagePath: imagePathOf(runtimes, built.manifest) };
}

async function findBuilt(runtimes: string, recordPath: string): Promise<BuiltRuntime | undefined> {
  const record = manifestSchema.safeParse(await readJsonIfExists(recordPath, { rebuildable: true }));
  if (!record.success) return undefined;
  const imagePath = imagePathOf(runtimes, record.data);
  const found = await stat(imagePath).catch(() => undefined);
  return found?.size === record.data.sizeBytes ? { manifest: record.data, imagePath } : undefined;
}

async function initFilesOf(recipe: Recipe, { initFiles }: FindOptions): Promise<InitFiles | undefined> {
  if (recipe.init !== 'image') return undefined;
  if (initFiles !== undefined) return initFiles();
  throw new RecipeError(`Cannot build "${recipe.name}": "init: image" and no files of an init, expected both or none`);
}

interface RecordOptions {
  runtimes: string;
  initFiles: InitFiles | undefined;
}

/** Named by what the image is made of, so that a recipe that has changed has no record. */
async function recordPathOf(read: ReadRecipe, { runtimes, initFiles }: RecordOptions): Promise<string> {
  const inputs = await hashOfInputs(read, initFiles);
  return join(runtimes, `${read.recipe.name}-${inputs.slice(0, 16)}.json`);
}

/** Files that the recipe names are inputs too. A recipe without any is hashed as if there were no such thing. */
async function hashOfInputs({ recipe, beside }: ReadRecipe, initFiles: InitFiles | undefined): Promise<string> {
  const sources = [...(recipe.files ?? []).entries()].flatMap(([index, { source }]) =>
    source === undefined ? [] : [beside('files', index, 'source')],
  );
  const hashes = await Promise.all(sources.map(sha256OfFile));
  if (initFiles !== undefined) hashes.push(initFiles.hash);
  const inputs = hashes.length === 0 ? [BUILDER_VERSION, recipe] : [BUILDER_VERSION, recipe, hashes];
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex');
}

interface BuildIn extends BuildOptions {
  /** A folder to work in. */
  work: string;
  /** What the image gets, if it is to be its own init. */
  ownInit: InitFiles | undefined;
}

async function build(read: ReadRecipe, options: BuildIn): Promise<BuiltRuntime> {
  const { recipe } = read;
  const { work } = options;
  const root = join(work, 'root');
  const imagePath = join(work, 'image');
  await fill(read, root, options);
  const os = await osName(root);
  const interpreters = await interpreterVersions(recipe, root, options.signal);
  const { format, compression } = recipe.filesystem;
  if (format !== 'erofs') throw read.refuse(['filesystem', 'format'], `expected erofs, found "${format}"`);
  options.onProgress?.('Making the erofs image');
  await makeErofs(root, imagePath, {
    compression: compression === 'lz4' || compression === 'lz4hc' ? compression : 'none',
    clusterKiB: recipe.filesystem.clusterKiB,
    uuid: '00000000-0000-4000-8000-000000000000',
    // What is only unpacked has no bytecode, the one thing that needs true times, and no owner but root.
    ...(recipe.variant === 'extract' ? { fixedTime: OVERLAY_UNIX_TIME, allRoot: true } : {}),
    signal: options.signal,
  });
  const { size } = await stat(imagePath);
  const maxBytes = recipe.filesystem.maxSizeMiB * 1024 * 1024;
  if (size > maxBytes) {
    throw new RecipeError(
      `Cannot build "${recipe.name}": the image has ${size} bytes, expected at most ${maxBytes} (filesystem.maxSizeMiB)`,
    );
  }
  await chmod(imagePath, 0o444);
  const manifest: Manifest = {
    format: 1,
    kind: 'vmlet/runtime',
    name: recipe.name,
    version: recipe.version,
    description: recipe.description,
    os,
    interpreters,
    filesystem: recipe.filesystem.format,
    init: recipe.init,
    sizeBytes: size,
    fileHash: await sha256OfFile(imagePath),
  };
  return { manifest, imagePath };
}

/** Makes the root filesystem's tree. */
async function fill({ recipe, beside }: ReadRecipe, target: string, options: BuildIn): Promise<void> {
  const { work, ownInit, signal } = options;
  const packages = join(options.cache, 'packages');
  const adding = 'Adding files and packages of npm';
  const onLine = (step: string) => (line: string) => options.onProgress?.(step, line);
  const overlay = await makeOverlay(recipe, {
    ...{ beside, packages, work, signal },
    initFiles: ownInit,
    onLine: onLine(adding),
  });
  const installing = 'Installing Debian packages';
  options.onProgress?.(installing, `${recipe.suite}, ${recipe.packages.length} wanted`);
  if (recipe.variant === 'extract') await extract(recipe, { target, overlay, work, packages, signal });
  else await bootstrap(recipe, { target, overlay, work, onLine: onLine(installing), signal });
}

function imagePathOf(runtimes: string, manifest: Manifest): string {
  return join(runtimes, `${manifest.fileHash}.${manifest.filesystem}`);
}

async function osName(root: string): Promise<string> {
  const release = await readFile(join(root, 'usr/lib/os-release'), 'utf8');
  return /^PRETTY_NAME="(.*)"$/m.exec(release)?.[1] ?? basename(root);
}

async function interpreterVersions(recipe: Recipe, root: string, signal: AbortSignal | undefined) {
  const versionOf = async (path: string) => {
    const printed = await runInside(root, [path, '--version'], signal);
    return { path, version: printed.trim().replace(/^\D+/, '') };
  };
  const versions: Manifest['interpreters'] = {};
  for (const [name, wanted] of Object.entries(recipe.interpreters)) {
    const { path, others } = typeof wanted === 'string' ? { path: wanted } : wanted;
    versions[name] = await versionOf(path);
    if (others !== undefined) versions[name].others = await Promise.all(others.map(versionOf));
  }
  return versions;
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
