import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Box } from './box.ts';

export interface TakeOptions {
  /** Where it goes on the host, on the same filesystem. */
  to: string;
  /** What its bytes have to be; another file is left where it is. */
  sha256?: string;
  /** A file that is not there, or is another one, is none of our business. */
  optional?: boolean;
}

/**
 * Takes a file out of a box: nothing in the box can change it any more, and nobody but its new owner can write it.
 * No command may be running in the box.
 * @param name in the work folder; links in it are not followed
 * @returns its SHA-256 and size; undefined when it is optional and not there
 */
export async function takeFile(
  box: Box,
  name: string,
  { to, sha256, optional = false }: TakeOptions,
): Promise<{ sha256: string; sizeBytes: number } | undefined> {
  const from = join(box.work, name);
  // Not waiting for the writer of a pipe that somebody has put there.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(from, flags).catch((error: NodeJS.ErrnoException) => {
    if (optional && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  await using opened = file;
  const found = await opened.stat();
  // With another name, it could be written by that one.
  if (!found.isFile() || found.nlink !== 1)
    throw new Error(`Cannot take "${name}" out of a box: no plain file with one name, expected one`);
  if (process.getuid?.() === 0) await opened.chown(0, 0);
  await opened.chmod(0o444);
  const hash = createHash('sha256');
  await pipeline(opened.createReadStream({ start: 0, autoClose: false }), hash);
  const digest = hash.digest('hex');
  if (sha256 !== undefined && digest !== sha256) {
    if (optional) return undefined;
    throw new Error(`Cannot take "${name}" out of a box: SHA-256 is "${digest}", expected "${sha256}"`);
  }
  await opened.sync();
  await rename(from, to);
  return { sha256: digest, sizeBytes: found.size };
}
