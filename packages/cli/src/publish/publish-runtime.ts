import { createReadStream } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { BuiltRuntime, Manifest } from '@vmlet/builder';
import type { ItemHash } from '@vmlet/messages';
import type { NetworkRuntime } from '../client/network-schema.ts';
import { CliError } from '../errors.ts';
import { formatBytes } from '../terminal-text.ts';
import { type Publisher, setAggregate, storeFile } from './publisher.ts';
import { publishExtras, type RuntimeExtras } from './runtime-extras.ts';
import { checkOwnName, orUnknown } from './runtime-names.ts';

/** Key of the AGGREGATE that leads names of runtimes to their STOREs. */
const NAMES_KEY = 'runtimes';

/** A runtime that was published under its name. */
export interface NamedRuntime {
  readonly itemHash: ItemHash;
  readonly address: string;
  readonly name: string;
  readonly version: string;
  /** The first version of that name, which it updates. */
  readonly updates: ItemHash | null;
  /** False if the node had these bytes, or all of it, already. */
  readonly uploaded: boolean;
  readonly manifest: Manifest;
}

/**
 * Publishes an image with its manifest, and leads its name, and its name with its version, to it. What is published
 * already is not published again; another version updates the first one, so that whoever follows it gets the newest.
 * @throws CliError `RUNTIME_VERSION_TAKEN`, `OPTION_MALFORMED`
 */
export async function publishNamedRuntime(
  { manifest, imagePath }: BuiltRuntime,
  publisher: Publisher,
  extras: RuntimeExtras = {},
): Promise<NamedRuntime> {
  const { api, signer, signal, output } = publisher;
  const { name, version, fileHash } = manifest;
  checkOwnName(manifest);
  output.step('Looking up the name');
  const known = (await api.runtimes({ addresses: [signer.address], names: [name], signal })).runtimes;
  const sameVersion = known.filter(({ metadata }) => metadata.version === version);
  const isSame = (one: NetworkRuntime) => isDeepStrictEqual(one.metadata.config, manifest.config);
  const same = sameVersion.find((one) => one.file_hash === fileHash && isSame(one));
  if (same === undefined && sameVersion.length > 0) {
    throw new CliError('RUNTIME_VERSION_TAKEN', {
      operands: { name, version, itemHash: sameVersion[0]?.item_hash ?? '' },
    });
  }
  const stored =
    same === undefined
      ? await store({ manifest, imagePath }, publisher, { extras, updates: await originalOf(name, publisher) })
      : { itemHash: same.item_hash, updates: same.ref, manifest: same.metadata, uploaded: false };
  await lead({ name, version, itemHash: stored.itemHash }, { publisher, same });
  return { ...stored, address: signer.address, name, version };
}

async function store(
  { manifest, imagePath }: BuiltRuntime,
  publisher: Publisher,
  { extras, updates }: { extras: RuntimeExtras; updates: ItemHash | undefined },
): Promise<Pick<NamedRuntime, 'itemHash' | 'updates' | 'manifest' | 'uploaded'>> {
  const metadata: Manifest = { ...manifest, ...(await publishExtras(publisher, extras)) };
  const { name, filesystem, sizeBytes, fileHash } = manifest;
  publisher.output.step('Publishing the runtime', `${name}, ${formatBytes(sizeBytes)}`);
  const file = { fileHash, sizeBytes, name: `${name}.${filesystem}`, open: () => createReadStream(imagePath) };
  const { itemHash, uploaded } = await storeFile(publisher, file, { metadata, ref: updates });
  return { itemHash, updates: updates ?? null, manifest: metadata, uploaded };
}

/** The first version of a name, where there is one still. */
async function originalOf(name: string, { api, signer, signal }: Publisher): Promise<ItemHash | undefined> {
  const found = await api.runtime(`${signer.address}/${name}`, signal).catch(orUnknown);
  const original = found?.ref ?? found?.item_hash;
  if (found === undefined || original === found.item_hash) return original;
  // It may have been forgotten.
  return (await api.runtime(found.ref ?? '', signal).catch(orUnknown))?.item_hash;
}

async function lead(
  { name, version, itemHash }: { name: string; version: string; itemHash: ItemHash },
  { publisher, same }: { publisher: Publisher; same: NetworkRuntime | undefined },
): Promise<void> {
  const names = [name, `${name}@${version}`];
  if (same !== undefined && names.every((one) => same.names.includes(one))) return;
  publisher.output.step('Naming it');
  await setAggregate(
    publisher,
    NAMES_KEY,
    Object.fromEntries(names.map((one) => [one, { item_hash: itemHash, version }])),
  );
}
