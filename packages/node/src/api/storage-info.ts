import { addressSchema, itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { ownerKey } from '../admission/index.ts';
import { canonicalCid, namesOfCid } from '../content/index.ts';
import { VmletError } from '../errors.ts';
import type { StoreRecord } from '../ledger/index.ts';
import type { ApiComponents } from './components.ts';
import { fileHashParam, type HashRoute, hashParams, itemHashParam } from './hash-param.ts';
import { findReadable } from './storage-raw.ts';

/** Of a name that an owner gives its file, in characters. */
const MAX_REF_CHARS = 1024;

const tag = 'storage';
const namedFile = z.object({
  ref: z.string(),
  owner: z.string(),
  file_hash: z.string(),
  download_url: z.string(),
  size: z.int(),
});
const refParams = z.object({ ref: z.string() });
const ownedRefParams = z.object({ address: z.string(), ref: z.string() });

interface RefRoute {
  Params: { ref: string };
}

interface OwnedRefRoute {
  Params: { address: string; ref: string };
}

/** GET of what is known of a file, by its own names or by those of the messages that store it. */
export function registerStorageInfo(app: FastifyInstance, components: ApiComponents): void {
  const { ledger } = components;
  const byMessage = { summary: 'The file that a STORE message stores', tag, params: hashParams, response: namedFile };
  app.get<HashRoute>('/api/v0/storage/by-message-hash/:hash', { config: { doc: byMessage } }, async (request) => {
    const ref = itemHashParam(request);
    return describe(ref, ledger.store(ref));
  });

  const byRef = {
    summary: 'The newest file under the hash of its first STORE',
    tag,
    params: refParams,
    response: namedFile,
  };
  app.get<RefRoute>('/api/v0/storage/by-ref/:ref', { config: { doc: byRef } }, async ({ params: { ref } }) => {
    // A name of the owner's choice says nothing without the owner.
    if (!itemHashSchema.safeParse(ref).success)
      throw new VmletError('HASH_MALFORMED', { operands: { hash: cut(ref) } });
    return describe(ref, ledger.store(ref, { latest: true }));
  });

  const byOwnedRef = {
    summary: "The newest file under a name of its owner's choice, or under the hash of its first STORE",
    tag,
    params: ownedRefParams,
    response: namedFile,
  };
  const ownedPath = '/api/v0/storage/by-ref/:address/:ref';
  app.get<OwnedRefRoute>(ownedPath, { config: { doc: byOwnedRef } }, async ({ params: { address, ref } }) => {
    if (ref.length > MAX_REF_CHARS || !addressSchema.safeParse(address).success) throw unknown(ref);
    const isHash = itemHashSchema.safeParse(ref).success;
    const store = ledger.store(isHash ? ref : `${ownerKey(address)}/${ref}`, { latest: true });
    return describe(ref, store && sameAddress(store.content.address, address) ? store : undefined);
  });
  registerFileFacts(app, components);
}

function registerFileFacts(app: FastifyInstance, components: ApiComponents): void {
  const metadata = {
    summary: 'Size and kind of a file',
    tag,
    params: hashParams,
    response: z.object({
      file_hash: z.string(),
      type: z.enum(['file', 'directory']),
      size: z.int(),
      download_url: z.string(),
    }),
  };
  app.get<HashRoute>('/api/v0/storage/metadata/:hash', { config: { doc: metadata } }, async (request) => {
    const { name, kind, sizeBytes } = await findReadable(fileHashParam(request), components);
    return { file_hash: name, type: kind, size: sizeBytes, download_url: downloadUrl(name) };
  });

  const count = {
    summary: 'How many STORE messages in force name a file',
    tag,
    params: hashParams,
    response: z.int(),
  };
  app.get<HashRoute>('/api/v0/storage/count/:hash', { config: { doc: count } }, async (request, reply) => {
    const name = fileHashParam(request);
    const cid = canonicalCid(name);
    // As text: fastify takes a bare number for no JSON.
    reply.header('content-type', 'application/json; charset=utf-8');
    return String(components.pins.count(cid === undefined ? [name] : namesOfCid(cid)));
  });
}

/** @throws VmletError `STORE_NOT_FOUND` */
function describe(ref: string, store: StoreRecord | undefined) {
  if (store === undefined) throw unknown(ref);
  const { fileHash, sizeBytes, content } = store;
  return { ref, owner: content.address, file_hash: fileHash, download_url: downloadUrl(fileHash), size: sizeBytes };
}

function downloadUrl(fileHash: string): string {
  return `/api/v0/storage/raw/${fileHash}`;
}

function unknown(ref: string): VmletError {
  return new VmletError('STORE_NOT_FOUND', { operands: { ref: cut(ref) } });
}

function cut(text: string): string {
  return text.slice(0, MAX_REF_CHARS);
}
