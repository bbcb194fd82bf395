import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHash } from '@vmlet/messages';
import { VmletError } from '../errors.ts';

/** Large enough that hashing is not bound by calls, small enough that one step takes well under a millisecond. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Passes bytes on while hashing them, and keeps the last chunk back until the hash is known to be right.
 * @throws VmletError `CONTENT_CORRUPT` in place of the last chunk
 */
export async function* checking(source: AsyncIterable<Uint8Array>, fileHash: FileHash): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let held: Uint8Array | undefined;
  for await (const chunk of source) {
    if (held !== undefined) yield held;
    hash.update(chunk);
    held = chunk;
  }
  const found = hash.digest('hex');
  if (found !== fileHash) throw new VmletError('CONTENT_CORRUPT', { operands: { fileHash, found } });
  if (held !== undefined) yield held;
}

/** What was hashed: the bytes' hash, and the stamp of the file they were read from. */
export interface HashedFile {
  readonly found: string;
  /** Device, inode, size and times in nanoseconds; undefined if the file changed while it was read. */
  readonly stamp: string | undefined;
}

/**
 * Reads and hashes a file.
 * @throws the system call's error; the signal's reason
 */
export async function hashFile(
  path: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<HashedFile> {
  await using handle = await open(path, 'r');
  const before = stampOf(await handle.stat({ bigint: true }));
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
  }
  const after = stampOf(await handle.stat({ bigint: true }));
  return { found: hash.digest('hex'), stamp: before === after ? before : undefined };
}

/** The members of `fs.Stats` that change when a file's bytes do. */
interface StampMembers {
  dev: bigint;
  ino: bigint;
  size: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
}

/** A file's identity and state as one string. */
export function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: StampMembers): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}
