import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';

/** Large enough that hashing is not bound by calls, in bytes. */
const CHUNK_BYTES = 1024 * 1024;

/** Device, inode, size and times in nanoseconds as one string: it changes when a file's bytes may have. */
export async function stampAt(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

/**
 * Reads and hashes a file.
 * @throws the system call's error; the signal's reason
 */
export async function hashFile(path: string, signal?: AbortSignal): Promise<{ sizeBytes: number; sha256: string }> {
  await using handle = await open(path, 'r');
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let sizeBytes = 0;
  for (;;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    sizeBytes += bytesRead;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}
