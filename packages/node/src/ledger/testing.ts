import { createHash } from 'node:crypto';
import { buildMessage, type Envelope, type FileHash, itemHashOf } from '@vmlet/messages';
import type { MessageType } from '@vmlet/messages/schema';
import { createEvmSigner, generateKey, type Signer } from '@vmlet/messages/sign';

/** An account that writes the messages tests need. */
export interface Author {
  readonly signer: Signer;
  /** A STORE of a file. */
  store(fileHash: string, changes?: object): Promise<Envelope>;
  /** A PROGRAM of two STOREs. */
  program(refs: { code: string; runtime: string }, changes?: object): Promise<Envelope>;
  /** An INSTANCE with a root filesystem that is a copy of a STORE. */
  instance(refs: { rootfs: string; sizeMib?: number }, changes?: object): Promise<Envelope>;
  forget(...hashes: string[]): Promise<Envelope>;
  /** A POST that changes another one. */
  amend(ref: string, content: unknown): Promise<Envelope>;
  /** Members of a key; `changes` are other members of the content, such as its time. */
  aggregate(key: string, content: object, changes?: object): Promise<Envelope>;
  post(content: unknown): Promise<Envelope>;
  /** A message with a content made by hand: not checked by any schema, but signed. */
  sign(type: MessageType, content: object): Promise<Envelope>;
}

/** The SHA-256 of a text, as a content store names it. */
export const fileHashOf = (text: string) => createHash('sha256').update(text).digest('hex') as FileHash;

/** A text as a source for a content store. */
export async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** A new account. */
export function makeAuthor(): Author {
  const signer = createEvmSigner(generateKey());
  let seconds = 1_700_000_000;
  // Each message a second later than the one before, so that "newest" has one meaning.
  const next = () => {
    seconds += 1;
    return new Date(seconds * 1000);
  };
  const sign: Author['sign'] = async (type, content) => {
    const now = next();
    const time = now.getTime() / 1000;
    const text = JSON.stringify({ address: signer.address, time, ...content });
    const part = { chain: signer.chain, sender: signer.address, type, item_hash: itemHashOf(text) };
    return { ...part, time, item_type: 'inline', item_content: text, signature: await signer.sign(part) };
  };
  return {
    signer,
    sign,
    store: (fileHash, changes = {}) => sign('STORE', { item_type: 'storage', item_hash: fileHash, ...changes }),
    program: ({ code, runtime }, changes = {}) => sign('PROGRAM', { ...programContent({ code, runtime }), ...changes }),
    instance: ({ rootfs, sizeMib = 1 }, changes = {}) =>
      sign('INSTANCE', { ...instanceContent({ rootfs, sizeMib }), ...changes }),
    amend: (ref, content) => sign('POST', { type: 'amend', ref, content }),
    aggregate: (key, content, changes = {}) => sign('AGGREGATE', { key, content, ...changes }),
    forget: (...hashes) => sign('FORGET', { hashes }),
    post: (content) => buildMessage({ signer, type: 'POST', content: { type: 'test', content }, now: next() }),
  };
}

function programContent({ code, runtime }: { code: string; runtime: string }): object {
  return {
    type: 'vm-function',
    allow_amend: false,
    on: { http: true },
    environment: { internet: true },
    resources: { vcpus: 1, memory: 128, seconds: 30 },
    runtime: { ref: runtime, use_latest: true, comment: '' },
    code: { encoding: 'zip', entrypoint: 'main:app', ref: code, use_latest: false },
    volumes: [],
  };
}

function instanceContent({ rootfs, sizeMib }: { rootfs: string; sizeMib: number }): object {
  return {
    allow_amend: false,
    environment: { internet: true },
    resources: { vcpus: 1, memory: 128, seconds: 30 },
    rootfs: { parent: { ref: rootfs, use_latest: true }, persistence: 'host', size_mib: sizeMib },
    volumes: [],
  };
}
