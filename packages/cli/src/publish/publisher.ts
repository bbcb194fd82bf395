import { buildMessage, type FileHash, type ItemHash } from '@vmlet/messages';
import { fileHashSchema } from '@vmlet/messages/schema';
import type { Signer } from '@vmlet/messages/sign';
import type { PublicApi } from '../client/api.ts';
import type { Upload } from '../client/multipart.ts';
import type { Output } from '../output.ts';
import { ProgressBar } from '../progress-bar.ts';
import type { OnMessage } from './on-message.ts';

/** Signs and publishes in one owner's name. */
export interface Publisher {
  readonly signer: Signer;
  readonly api: PublicApi;
  readonly output: Output;
  /** Label of all messages. */
  readonly channel: string | undefined;
  readonly signal: AbortSignal;
}

/** A smaller file is sent in no time. */
const NOTICEABLE_BYTES = 1_000_000;
/** The channel where the command line names none. */
const DEFAULT_CHANNEL = 'VMLET';

export interface StoredFile {
  /** Of the STORE message. */
  itemHash: ItemHash;
  fileHash: FileHash;
  /** False if the node held the bytes already. */
  uploaded: boolean;
}

/** Publishes a STORE for a file, and sends the bytes only if the node lacks them. */
export async function storeFile(
  publisher: Publisher,
  file: Upload,
  { metadata, ref }: { metadata?: Record<string, unknown>; ref?: ItemHash | undefined } = {},
): Promise<StoredFile> {
  const { api, output, signal } = publisher;
  const fileHash = fileHashSchema.parse(file.fileHash);
  const message = await buildMessage({
    ...partsOf(publisher),
    type: 'STORE',
    content: {
      ...{ item_type: 'storage', item_hash: fileHash },
      ...(metadata === undefined ? {} : { metadata }),
      ...(ref === undefined ? {} : { ref }),
    },
  });
  const uploaded = !(await api.holds(fileHash, signal));
  if (uploaded) await api.addFile(message, withProgress(file, output), { signal });
  await api.publish(message, signal);
  return { itemHash: message.item_hash, fileHash, uploaded };
}

/** The same file; those that take a while show how far they are. */
function withProgress(file: Upload, output: Output): Upload {
  if (file.sizeBytes < NOTICEABLE_BYTES) return file;
  return {
    ...file,
    async *open() {
      const bar = new ProgressBar(output, { step: 'Uploading', totalBytes: file.sizeBytes });
      for await (const chunk of file.open()) {
        yield chunk;
        bar.add(chunk.length);
      }
    },
  };
}

/**
 * Sets members of one's own AGGREGATE, which others read and nobody else writes.
 * @returns its item_hash
 */
export async function setAggregate(
  publisher: Publisher,
  key: string,
  content: Record<string, unknown>,
): Promise<ItemHash> {
  const message = await buildMessage({ ...partsOf(publisher), type: 'AGGREGATE', content: { key, content } });
  await publisher.api.publish(message, publisher.signal);
  return message.item_hash;
}

/** What a PROGRAM message says. */
export interface ProgramSpec {
  name: string;
  /** Whose launcher starts it; an executable is a process of its own. */
  kind: 'python' | 'node' | 'executable';
  entrypoint: string;
  /** Of an executable. */
  args: readonly string[];
  codeRef: ItemHash;
  runtimeRef: ItemHash;
  /** Of the runtime, for readers. */
  runtimeName: string;
  memoryMiB: number;
  vcpus: number;
  /** How long one request may take. */
  seconds: number;
  variables: Readonly<Record<string, string>>;
  /** Whether the node may save its machine once it is loaded, and start it from that; so unless told. */
  snapshot?: boolean | undefined;
  /** Whether it asks for a way out to the internet. */
  internet?: boolean | undefined;
  /** The messages that it listens to. */
  onMessage?: OnMessage | undefined;
  /** Where they are posted to, if not to `/`. */
  onMessagePath?: string | undefined;
  /** False if visitors may not ask it. */
  http?: boolean | undefined;
}

/** Publishes a PROGRAM that runs on requests, and on the messages that it listens to. Which interface its entrypoint speaks is found out where it runs. */
export async function publishProgram(publisher: Publisher, spec: ProgramSpec): Promise<ItemHash> {
  const { memoryMiB: memory, vcpus, seconds } = spec;
  const message = await buildMessage({
    ...partsOf(publisher),
    type: 'PROGRAM',
    content: {
      type: 'vm-function',
      allow_amend: false,
      metadata: {
        name: spec.name,
        ...(spec.snapshot === false ? { snapshot: false } : {}),
        ...(spec.onMessagePath === undefined ? {} : { on_message_path: spec.onMessagePath }),
      },
      ...(Object.keys(spec.variables).length === 0 ? {} : { variables: { ...spec.variables } }),
      environment: { reproducible: false, internet: spec.internet === true, aleph_api: true, shared_cache: false },
      resources: { vcpus, memory, seconds },
      volumes: [],
      // Fixed: a deployment stays what it is, whatever is published later.
      code: { encoding: 'zip', ...startOf(spec), ref: spec.codeRef, use_latest: false },
      runtime: { ref: spec.runtimeRef, use_latest: false, comment: spec.runtimeName },
      on: { http: spec.http !== false, ...(spec.onMessage ? { message: spec.onMessage } : {}) },
    },
  });
  await publisher.api.publish(message, publisher.signal);
  return message.item_hash;
}

/** How the program starts. The launcher of a language is told by the form of the entrypoint. */
function startOf({ kind, entrypoint, args }: ProgramSpec) {
  if (kind !== 'executable') return { entrypoint };
  return { entrypoint, interface: 'binary' as const, ...(args.length === 0 ? {} : { args: [...args] }) };
}

/** Publishes a FORGET of one's own messages, all or none. */
export async function forget(
  publisher: Publisher,
  hashes: readonly ItemHash[],
  { reason = 'vmlet rm' }: { reason?: string } = {},
): Promise<ItemHash> {
  const message = await buildMessage({
    ...partsOf(publisher),
    type: 'FORGET',
    content: { hashes: [...hashes], reason },
  });
  await publisher.api.publish(message, publisher.signal);
  return message.item_hash;
}

function partsOf({ signer, channel }: Publisher) {
  return { signer, channel: channel ?? DEFAULT_CHANNEL, now: new Date() };
}
