import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { buildMessage, type ItemHash } from '@vmlet/messages';
import type { Signer } from '@vmlet/messages/sign';
import { zipSync } from 'fflate';

const CHANNEL = 'TEST';

/** Where messages go and who signs them. */
export interface Publisher {
  url: string;
  signer: Signer;
}

export interface ProgramOptions {
  runtime: ItemHash;
  code: ItemHash;
  encoding?: 'zip' | 'plain' | 'squashfs';
  entrypoint?: string;
  interface?: 'asgi' | 'binary';
  memoryMiB?: number;
  seconds?: number;
  variables?: Record<string, string>;
  name?: string;
  /** Of the message, beside the name. */
  metadata?: Record<string, unknown>;
  persistent?: boolean;
  /** Whether its machine may be saved; where it is left out, its message says nothing. */
  snapshot?: boolean;
  internet?: boolean;
  /** Whether it has a host to call; it has unless this says no. */
  guestApi?: boolean;
  /** False for a program that visitors may not ask. */
  http?: boolean;
  /** `on.message`. */
  onMessage?: Record<string, unknown>[];
  /** Whether another one may take its place. */
  allowAmend?: boolean;
  /** The program that this one takes the place of. */
  replaces?: ItemHash;
}

/** Uploads bytes with the signed STORE that names them, as the official clients do. Gives its item_hash. */
export async function publishFile(to: Publisher, file: Blob, options: FileOptions = {}): Promise<ItemHash> {
  const message = await messageOfFile(to, file, options);
  const answer = await uploadFile(to, message, file);
  if (answer.status !== 200) throw new Error(`Cannot publish a file: ${answer.status} ${await answer.text()}`);
  return message.item_hash;
}

interface FileOptions {
  metadata?: Record<string, unknown> | undefined;
  /** The STORE that this one updates. */
  ref?: ItemHash | undefined;
}

/** The signed STORE of a file. */
export async function messageOfFile({ signer }: Publisher, file: Blob, { metadata, ref }: FileOptions = {}) {
  const fileHash = createHash('sha256')
    .update(Buffer.from(await file.arrayBuffer()))
    .digest('hex');
  const content = {
    item_type: 'storage' as const,
    item_hash: fileHash,
    ...(metadata ? { metadata } : {}),
    ...(ref ? { ref } : {}),
  };
  return await buildMessage({ signer, type: 'STORE', content, channel: CHANNEL, now: new Date() });
}

/** Sends a file with its STORE, and gives what came back. */
export async function uploadFile({ url }: Publisher, message: unknown, file: Blob): Promise<Response> {
  const form = new FormData();
  form.set('metadata', JSON.stringify({ message, sync: true }));
  form.set('file', file);
  return await fetch(`${url}/api/v0/storage/add_file`, { method: 'POST', body: form });
}

export async function publishPath(to: Publisher, path: string, metadata?: Record<string, unknown>): Promise<ItemHash> {
  return publishFile(to, await openAsBlob(path), { metadata });
}

/** A zip of text files by path. */
export function zipOf(files: Record<string, string>): Blob {
  const entries = Object.entries(files).map(([path, text]) => [path, new TextEncoder().encode(text)] as const);
  return new Blob([zipSync(Object.fromEntries(entries))]);
}

/** Publishes a PROGRAM message and gives its item_hash. */
export async function publishProgram(to: Publisher, options: ProgramOptions): Promise<ItemHash> {
  const { name, snapshot } = options;
  const metadata = { ...(name ? { name } : {}), ...(snapshot === undefined ? {} : { snapshot }), ...options.metadata };
  const content = {
    type: 'vm-function' as const,
    allow_amend: options.allowAmend ?? false,
    ...(options.replaces ? { replaces: options.replaces } : {}),
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
    on: {
      http: options.http ?? true,
      persistent: options.persistent ?? false,
      ...(options.onMessage ? { message: options.onMessage } : {}),
    },
    environment: {
      ...{ reproducible: false, internet: options.internet ?? false },
      ...{ aleph_api: options.guestApi ?? true, shared_cache: false },
    },
    resources: { vcpus: 1, memory: options.memoryMiB ?? 256, seconds: options.seconds ?? 30 },
    runtime: { ref: options.runtime, use_latest: true, comment: '' },
    code: {
      encoding: options.encoding ?? 'zip',
      entrypoint: options.entrypoint ?? 'main:app',
      ref: options.code,
      ...(options.interface ? { interface: options.interface } : {}),
      use_latest: true,
    },
    volumes: [],
    variables: options.variables ?? {},
  };
  const message = await buildMessage({
    signer: to.signer,
    type: 'PROGRAM',
    content,
    channel: CHANNEL,
    now: new Date(),
  });
  await publishMessage(to, message, 200);
  return message.item_hash;
}

/** Publishes a POST and gives its item_hash. */
export async function publishPost(
  to: Publisher,
  content: unknown,
  { type = 'test', channel = CHANNEL }: { type?: string; channel?: string } = {},
): Promise<ItemHash> {
  const { signer } = to;
  const message = await buildMessage({ signer, type: 'POST', content: { type, content }, channel, now: new Date() });
  await publishMessage(to, message, 200);
  return message.item_hash;
}

/** Signs and sends a FORGET. */
export async function forget(to: Publisher, hashes: ItemHash[]): Promise<void> {
  const content = { hashes };
  const message = await buildMessage({ signer: to.signer, type: 'FORGET', content, channel: CHANNEL, now: new Date() });
  await publishMessage(to, message, 200);
}

async function publishMessage(to: Publisher, message: unknown, expected: number): Promise<void> {
  const answer = await fetch(`${to.url}/api/v0/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sync: true, message }),
  });
  if (answer.status !== expected) throw new Error(`Cannot publish: ${answer.status} ${await answer.text()}`);
}
