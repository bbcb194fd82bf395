import { access, mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type BuiltRuntime, ensureRuntime, type Manifest } from '@vmlet/builder';
import { differingFiles, parseLock, recipeFilesSchema } from '@vmlet/builder/publishing';
import { CommandFailed } from '@vmlet/host';
import type { PublicApi } from '../client/api.ts';
import type { RuntimeDetail } from '../client/network-schema.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';
import { treesFrom } from './base-tree.ts';
import { compareImages, compareManifests, compareSboms, type Difference } from './compare-builds.ts';
import { fetchImage } from './fetch-image.ts';
import { initFilesOf } from './init-files.ts';
import { fetchStoredPackages, rawBytes, storedText } from './stored-file.ts';

export interface VerifyTools {
  api: PublicApi;
  output: Output;
  /** `$VMLET_CACHE`. */
  cache: string;
  signal: AbortSignal;
}

/** What came of building a published runtime again. */
export interface Verified {
  readonly built: BuiltRuntime;
  /** None where the image is the same bytes and the manifest says what is true of them. */
  readonly differences: readonly Difference[];
}

/**
 * Builds a published runtime again, from its recipe and lock as they were published, in a box, and compares.
 * @throws CliError `RUNTIME_UNVERIFIABLE` where it says nothing of how it was made; RecipeError, BoxUnavailable
 */
export async function verifyRuntime(runtime: RuntimeDetail, tools: VerifyTools): Promise<Verified> {
  const { metadata } = runtime;
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-verify-'));
  await fetchRecipe(runtime, { ...tools, folder: folder.path });
  const { cache, output, signal } = tools;
  const onProgress = (step: string, detail?: string) => output.step(step, detail);
  const initFiles = initFilesOf({ cache, onProgress, signal });
  // Which runtime is extended, the lock says.
  const base = treesFrom({ node: async () => tools.api.url, cache, own: async () => undefined, output, signal });
  const wanted = { cache, onProgress, initFiles, base, signal };
  const built = await ensureRuntime(folder.path, { ...wanted, locked: true, noCache: true });
  output.step('Comparing');
  const differences = [
    ...(await imageDifferences(runtime, built, { ...tools, folder: folder.path })),
    ...compareManifests(metadata, built.manifest),
    ...(await sbomDifferences(metadata, built, tools)),
  ];
  return { built, differences };
}

async function fetchRecipe(runtime: RuntimeDetail, { folder, ...tools }: VerifyTools & { folder: string }) {
  const { recipe, lock, recipeFiles } = runtime.metadata;
  if (recipe === undefined || lock === undefined) {
    const found = `its manifest names no ${recipe === undefined ? 'recipe' : 'lock file'}`;
    throw new CliError('RUNTIME_UNVERIFIABLE', { operands: { runtime: runtime.item_hash, found } });
  }
  const { output, api, cache, signal } = tools;
  output.step('Fetching the recipe');
  const lockText = await storedText(lock, tools);
  await writeFile(join(folder, 'recipe.yaml'), await storedText(recipe, tools), { flag: 'wx' });
  await writeFile(join(folder, 'recipe.lock'), lockText, { flag: 'wx' });
  if (recipeFiles !== undefined) await fetchFiles(recipeFiles, { ...tools, folder });
  const onProgress = (detail: string) => output.step('Fetching packages that the node has', detail);
  await fetchStoredPackages(parseLock(lockText, 'recipe.lock'), { api, signal, cache, has: exists, onProgress });
}

async function fetchFiles(listHash: string, { folder, ...from }: VerifyTools & { folder: string }): Promise<void> {
  const text = await storedText(listHash, from);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const list = recipeFilesSchema.safeParse(value);
  if (!list.success) {
    const found = `its list of files is none: ${list.error.issues[0]?.message}`;
    throw new CliError('RUNTIME_UNVERIFIABLE', { operands: { runtime: listHash, found } });
  }
  for (const [name, { file_hash: fileHash }] of Object.entries(list.data.files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await rawBytes(fileHash, from), { flag: 'wx' });
  }
}

async function imageDifferences(
  runtime: RuntimeDetail,
  built: BuiltRuntime,
  { api, cache, output, signal, folder }: VerifyTools & { folder: string },
): Promise<Difference[]> {
  if (runtime.file_hash === built.manifest.fileHash) return [];
  const path = await fetchImage(runtime.file_hash, { node: api.url, folder, output, signal });
  const difference = await compareImages(path, built.imagePath);
  if (difference === undefined) return [];
  try {
    const files = await differingFiles(path, built, { cache, signal });
    return [
      difference,
      ...files.map((file) => {
        return {
          what: `file ${file.path}`,
          published: file.published ?? 'not there',
          built: file.built ?? 'not there',
        };
      }),
    ];
  } catch (error) {
    // What was published may be no filesystem at all: that its bytes are others is said all the same.
    if (error instanceof CommandFailed) return [difference];
    throw error;
  }
}

async function sbomDifferences(published: Manifest, built: BuiltRuntime, tools: VerifyTools): Promise<Difference[]> {
  if (published.sbom === undefined || built.sbomPath === undefined) return [];
  return compareSboms(await storedText(published.sbom, tools), await readFile(built.sbomPath, 'utf8'));
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
