import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type BuiltRuntime, ensureRuntime, type Manifest } from '@vmlet/builder';
import type { ItemHash } from '@vmlet/messages';
import { itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import { isItemHash } from '../client/find-program.ts';
import type { NetworkRuntime } from '../client/network-schema.ts';
import type { OwnerClient } from '../client/owner.ts';
import type { ListedRuntime } from '../client/owner-schema.ts';
import { CliError } from '../errors.ts';
import { formatBytes } from '../terminal-text.ts';
import { treesFrom } from './base-tree.ts';
import { importSource, isSource } from './import-source.ts';
import { initFilesOf } from './init-files.ts';
import { findOfficial, publishedOfficials, RECIPES } from './official.ts';
import { type Publisher, storeFile } from './publisher.ts';
import { findNamedRuntime, orUnknown, readRuntimeName, shownRuntime } from './runtime-names.ts';

export { officialRuntimes, RECIPES } from './official.ts';

const RECIPE_FILE = 'recipe.yaml';

/** A runtime that the node has. */
export interface ResolvedRuntime {
  itemHash: ItemHash;
  /** Undefined for one that is named by its item_hash and that the node does not list. */
  fileHash: string | undefined;
  /** Its name, or the item_hash where none is known. */
  name: string;
  /** Whether its image starts something by itself; undefined where nothing is known of it. */
  hasCommand?: boolean | undefined;
}

export interface RuntimeOptions {
  /** Undefined where only the URL of the node is known: the runtime is then published again, without its bytes. */
  owner: OwnerClient | undefined;
  /** `$VMLET_CACHE`. */
  cache: string;
}

/**
 * Finds a runtime on the node by its item_hash or name: `NAME`, `NAME@VERSION` or `ADDRESS/NAME@VERSION`, as it was
 * published; the program then names its item_hash, so that it stays what it is. An official one that is missing there is built, or taken from
 * the cache, and published; so is one whose recipe has changed, and that of a recipe whose folder is named by its
 * absolute path, and what comes from another world, such as `oci:/images/web.tar`.
 * @throws CliError `RUNTIME_UNKNOWN`
 */
export async function resolveRuntime(
  wanted: string,
  publisher: Publisher,
  { owner, cache }: RuntimeOptions,
): Promise<ResolvedRuntime> {
  const listed = (await owner?.runtimes(publisher.signal)) ?? (await ownRuntimes(publisher));
  if (isItemHash(wanted)) {
    const known = listed.find((runtime) => runtime.itemHash === wanted);
    const itemHash = itemHashSchema.parse(wanted);
    if (known !== undefined) return { ...resolved(known), itemHash };
    const { api, signal } = publisher;
    // Something may stand in for one that is not there; the program names what it was told to.
    const published = await api.runtime(wanted, signal).catch(orUnknown);
    if (published !== undefined) return { itemHash, ...ofNetwork(published) };
    if (!(await api.knows(wanted, signal))) {
      const found = 'the node has no message of that item_hash';
      const names = [...new Set(listed.map((runtime) => runtime.manifest.name)), ...(await publishedOfficials())];
      throw new CliError('RUNTIME_UNKNOWN', { operands: { runtime: wanted, found, known: names.join(', ') } });
    }
    return { itemHash, fileHash: undefined, name: wanted };
  }
  const own = listed.filter((runtime) => sameAddress(runtime.address, publisher.signer.address));
  if (isSource(wanted)) {
    const built = await importSource(
      wanted,
      {},
      { output: publisher.output, cache, cwd: '/', signal: publisher.signal },
    );
    return await publishedOf(built, { own, publisher });
  }
  const official = await publishedOfficials();
  const recipe = await findOfficial(wanted);
  if (recipe !== undefined || isAbsolute(wanted)) {
    if (recipe === undefined && !(await exists(join(wanted, RECIPE_FILE)))) {
      const found = `no ${RECIPE_FILE} in that folder`;
      throw new CliError('RUNTIME_UNKNOWN', { operands: { runtime: wanted, found, known: official.join(', ') } });
    }
    const { output, signal } = publisher;
    const onProgress = (step: string, detail?: string) => output.step(`Building the runtime: ${step}`, detail);
    const address = async () => publisher.signer.address;
    const built = await ensureRuntime(recipe?.folder ?? wanted, {
      base: treesFrom({ cache, node: async () => publisher.api.url, own: address, output, signal }),
      filesystem: recipe?.filesystem,
      ...{ cache, onProgress, signal, official: RECIPES },
      initFiles: initFilesOf({ cache, onProgress, signal }),
    });
    return await publishedOf(built, { own, publisher });
  }
  return await named(wanted, { own, official, publisher });
}

/** What is the same image but is started otherwise is another runtime. */
async function publishedOf(
  built: BuiltRuntime,
  { own, publisher }: { own: readonly ListedRuntime[]; publisher: Publisher },
): Promise<ResolvedRuntime> {
  const { fileHash, config } = built.manifest;
  const published = own.find((one) => one.fileHash === fileHash && isDeepStrictEqual(one.manifest.config, config));
  return published ? resolved(published) : await publishRuntime(built, publisher);
}

/** A runtime by the name that its publisher signed; where none did, one's own whose manifest has it. */
async function named(
  wanted: string,
  { own, official, publisher }: { own: readonly ListedRuntime[]; official: readonly string[]; publisher: Publisher },
): Promise<ResolvedRuntime> {
  const { api, signer, output, signal } = publisher;
  const read = readRuntimeName(wanted);
  const unnamed = own.findLast((runtime) => runtime.manifest.name === wanted);
  const known = [...new Set([...official, ...own.map((runtime) => runtime.manifest.name)])].join(', ');
  if (read === undefined) {
    const found = 'it is no name of a runtime';
    throw new CliError('RUNTIME_UNKNOWN', { operands: { runtime: wanted, found, known } });
  }
  try {
    const runtime = await findNamedRuntime(read, { api, own: signer.address, signal });
    output.note(`The runtime is ${shownRuntime(runtime, signer.address)}`);
    return { itemHash: runtime.item_hash, ...ofNetwork(runtime) };
  } catch (error) {
    const isUnknown = error instanceof CliError && error.code === 'RUNTIME_UNKNOWN';
    if (!isUnknown || unnamed === undefined) throw error;
    return resolved(unnamed);
  }
}

/** One's own on a node that is known by its URL only. */
async function ownRuntimes({ api, signer, signal }: Publisher): Promise<ListedRuntime[]> {
  const listed = await api.runtimes({ addresses: [signer.address], signal }).catch(orUnknown);
  return (listed?.runtimes ?? [])
    .map((one) => ({ itemHash: one.item_hash, fileHash: one.file_hash, address: one.address, manifest: one.metadata }))
    .toReversed();
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Publishes an image with its manifest; the bytes are sent only if the node lacks them. */
export async function publishRuntime(
  { manifest, imagePath }: BuiltRuntime,
  publisher: Publisher,
): Promise<ResolvedRuntime> {
  publisher.output.step('Publishing the runtime', `${manifest.name}, ${formatBytes(manifest.sizeBytes)}`);
  const file = {
    fileHash: manifest.fileHash,
    sizeBytes: manifest.sizeBytes,
    name: `${manifest.name}.${manifest.filesystem}`,
    open: () => createReadStream(imagePath),
  };
  const { itemHash, fileHash } = await storeFile(publisher, file, { metadata: manifest });
  return { itemHash, fileHash, name: manifest.name, hasCommand: hasCommand(manifest) };
}

function resolved({ itemHash, fileHash, manifest }: ListedRuntime): ResolvedRuntime {
  return { itemHash, fileHash, name: manifest.name, hasCommand: hasCommand(manifest) };
}

function ofNetwork({ file_hash: fileHash, metadata }: NetworkRuntime): Omit<ResolvedRuntime, 'itemHash'> {
  return { fileHash, name: metadata.name, hasCommand: hasCommand(metadata) };
}

function hasCommand({ config }: Manifest): boolean {
  return (config?.entrypoint ?? []).length + (config?.cmd ?? []).length > 0;
}
