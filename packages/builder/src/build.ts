import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, readFile, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeWorkFolder, readJsonIfExists, run, writeFileAtomic } from '@vmlet/host';
import { makeErofs } from './filesystems/erofs.ts';
import { type Manifest, manifestSchema } from './manifest.ts';
import { type Recipe, RecipeError, readRecipe } from './recipe.ts';
import { bootstrap } from './stages/bootstrap.ts';

/** Raised when the way an image is made changes: a cached image of an older builder is not reused. */
const BUILDER_VERSION = 2;

/** A runtime image on disk, in the cache, named by its bytes. */
export interface BuiltRuntime {
  manifest: Manifest;
  imagePath: string;
}

export interface BuildOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  /** Told each step as it starts, and what a long step is doing. */
  onProgress?: (step: string, detail?: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * The runtime of a recipe: from the cache when its recipe was built before, else built now (about a minute).
 * The image appears in the cache whole or not at all.
 * @param folder holds `recipe.yaml`
 * @throws RecipeError, CommandFailed
 */
export async function ensureRuntime(folder: string, options: BuildOptions): Promise<BuiltRuntime> {
  const recipePath = join(folder, 'recipe.yaml');
  const recipe = await readRecipe(recipePath);
  const inputs = createHash('sha256')
    .update(JSON.stringify([BUILDER_VERSION, recipe]))
    .digest('hex');
  const runtimes = join(options.cache, 'runtimes');
  const recordPath = join(runtimes, `${recipe.name}-${inputs.slice(0, 16)}.json`);
  const known = await findBuilt(runtimes, recordPath);
  if (known) return known;

  await using work = await makeWorkFolder(runtimes, recipe.name);
  const built = await build(recipe, work.path, options);
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

async function build(recipe: Recipe, work: string, options: BuildOptions): Promise<BuiltRuntime> {
  const root = join(work, 'root');
  const imagePath = join(work, 'image');
  options.onProgress?.('Installing Debian packages', `${recipe.suite}, ${recipe.packages.length} wanted`);
  await bootstrap(recipe, {
    target: root,
    onLine: (line) => options.onProgress?.('Installing Debian packages', line),
    signal: options.signal,
  });
  const os = await osName(root);
  const interpreters = await interpreterVersions(recipe, root, options.signal);
  options.onProgress?.('Making the erofs image');
  await makeErofs(root, imagePath, {
    compression: recipe.filesystem.compression,
    uuid: '00000000-0000-4000-8000-000000000000',
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

function imagePathOf(runtimes: string, manifest: Manifest): string {
  return join(runtimes, `${manifest.fileHash}.${manifest.filesystem}`);
}

async function osName(root: string): Promise<string> {
  const release = await readFile(join(root, 'usr/lib/os-release'), 'utf8');
  return /^PRETTY_NAME="(.*)"$/m.exec(release)?.[1] ?? basename(root);
}

async function interpreterVersions(recipe: Recipe, root: string, signal: AbortSignal | undefined) {
  const versions: Manifest['interpreters'] = {};
  for (const [name, path] of Object.entries(recipe.interpreters)) {
    const command = process.getuid?.() === 0 ? ['chroot', root] : ['unshare', '--map-root-user', 'chroot', root];
    const printed = await run(command[0] ?? '', [...command.slice(1), path, '--version'], { signal });
    versions[name] = { path, version: printed.trim().replace(/^\D+/, '') };
  }
  return versions;
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
