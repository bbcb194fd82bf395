import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Manifest } from '@vmlet/builder';
import { keptPath, readLock } from '@vmlet/builder/packages';
import type { PackageStore, PortableRecipe, RecipeFiles } from '@vmlet/builder/publishing';
import type { Upload } from '../client/multipart.ts';
import { CliError } from '../errors.ts';
import { type Publisher, storeFile } from './publisher.ts';

/** What goes with an image. */
export interface RuntimeExtras {
  /** What it was made from, and what that names. */
  readonly recipe?: PortableRecipe | undefined;
  /** Files that are published beside it and named in its manifest. */
  readonly lock?: string | undefined;
  readonly sbom?: string | undefined;
  /** Publishes the packages of the lock, too, from this `$VMLET_CACHE`. */
  readonly packagesOf?: string | undefined;
}

type Beside = Pick<Manifest, 'recipe' | 'recipeFiles' | 'lock' | 'sbom' | 'packageStore'>;

/**
 * Publishes what goes with an image.
 * @returns the members of its manifest that name it
 * @throws CliError `INPUT_UNREADABLE`
 */
export async function publishExtras(publisher: Publisher, extras: RuntimeExtras): Promise<Beside> {
  const { recipe, lock, sbom, packagesOf } = extras;
  const store = async (upload: Upload) => (await storeFile(publisher, upload)).itemHash;
  return {
    ...(recipe && (await publishRecipe(publisher, recipe))),
    ...(lock !== undefined && { lock: await store(await uploadOf(lock)) }),
    ...(sbom !== undefined && { sbom: await store(await uploadOf(sbom)) }),
    ...(lock !== undefined && packagesOf !== undefined && (await publishPackages(publisher, lock, packagesOf))),
  };
}

async function publishRecipe(publisher: Publisher, { text, files }: PortableRecipe): Promise<Beside> {
  const { itemHash: recipe } = await storeFile(publisher, uploadOfText(text, 'recipe.yaml'));
  if (files.size === 0) return { recipe };
  const list: RecipeFiles = { format: 1, kind: 'vmlet/recipe-files', files: {} };
  for (const [name, path] of files) {
    const { itemHash, fileHash } = await storeFile(publisher, await uploadOf(path));
    list.files[name] = { item_hash: itemHash, file_hash: fileHash };
  }
  const { itemHash: recipeFiles } = await storeFile(publisher, uploadOfText(JSON.stringify(list), 'recipe-files.json'));
  return { recipe, recipeFiles };
}

/** Mirrors drop old versions: who keeps them here can build the same image for good. */
async function publishPackages(publisher: Publisher, lockPath: string, cache: string): Promise<Beside> {
  const lock = await readLock(lockPath);
  const list: PackageStore = { format: 1, kind: 'vmlet/packages', packages: {} };
  const locked = lock?.packages ?? [];
  for (const [index, { name, version, sha256, sizeBytes }] of locked.entries()) {
    publisher.output.step('Publishing packages', `${index + 1} of ${locked.length}: ${name} ${version}`);
    const path = keptPath(join(cache, 'packages'), { sha256 });
    const upload = { fileHash: sha256, sizeBytes, name: `${name}.deb`, open: () => createReadStream(path) };
    list.packages[sha256] = (await storeFile(publisher, upload)).itemHash;
  }
  return { packageStore: (await storeFile(publisher, uploadOfText(JSON.stringify(list), 'packages.json'))).itemHash };
}

function uploadOfText(text: string, name: string): Upload {
  const bytes = Buffer.from(text);
  return {
    fileHash: createHash('sha256').update(bytes).digest('hex'),
    ...{ sizeBytes: bytes.length, name },
    async *open() {
      yield bytes;
    },
  };
}

/** A small file as it is uploaded. @throws CliError `INPUT_UNREADABLE` */
async function uploadOf(path: string): Promise<Upload> {
  try {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    const { size: sizeBytes } = await stat(path);
    return { fileHash: hash.digest('hex'), sizeBytes, name: basename(path), open: () => createReadStream(path) };
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new CliError('INPUT_UNREADABLE', { operands: { path, found }, cause });
  }
}
