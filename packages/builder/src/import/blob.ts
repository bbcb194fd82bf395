import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { refused } from './errors.ts';

/** How much of a file is read at once. */
const READ_BYTES = 1024 * 1024;

/** A file, or a part of one. */
export interface Blob {
  /** How messages name it. */
  operand: string;
  size: number;
  open(): Readable;
}

/** A part of a file of this host. */
export function fileBlob(path: string, part: { operand: string; offset: number; size: number }): Blob {
  const { operand, offset, size } = part;
  const range = { start: offset, end: offset + size - 1, highWaterMark: READ_BYTES };
  // A range cannot be empty.
  const open = () => createReadStream(path, size === 0 ? { end: -1 } : range);
  return { operand, size, open };
}

/** Reads a file that a box has made. What it may have put in its place, a link or a pipe, is not opened. */
export function readBoxFile(path: string): Readable {
  return Readable.from(read());

  async function* read(): AsyncGenerator<Buffer> {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) throw refused(`"${path}"`, 'no file', 'what was made there');
    yield* file.createReadStream({ highWaterMark: READ_BYTES, autoClose: false });
  }
}

/** A digest as the OCI writes it, taken apart. @throws ImportError */
export function parseDigest(digest: string, operand: string): { algorithm: 'sha256' | 'sha512'; hex: string } {
  const found = /^(sha256):([0-9a-f]{64})$|^(sha512):([0-9a-f]{128})$/.exec(digest);
  const hex = found?.[2] ?? found?.[4];
  if (hex === undefined) {
    const shown = JSON.stringify(digest.slice(0, 160));
    throw refused(operand, `the digest ${shown}`, '"sha256:" or "sha512:" and its hexadecimal digits');
  }
  return { algorithm: found?.[1] === undefined ? 'sha512' : 'sha256', hex };
}

/** Reads a blob whole, for a document. @throws ImportError over the limit, or with another digest than was told */
export async function readBlob(
  blob: Blob,
  options: { maxBytes: number; digest?: string | undefined },
): Promise<Buffer> {
  const { maxBytes, digest } = options;
  if (blob.size > maxBytes) throw refused(blob.operand, `${blob.size} bytes`, `at most ${maxBytes}`);
  const chunks: Buffer[] = [];
  for await (const chunk of blob.open()) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (digest !== undefined) {
    const { algorithm, hex } = parseDigest(digest, blob.operand);
    const found = createHash(algorithm).update(bytes).digest('hex');
    if (found !== hex) throw wrongDigest(blob, `${algorithm}:${found}`, digest);
  }
  return bytes;
}

/** The digest of a blob's bytes. @throws ImportError when it is not the one that was told */
export async function checkBlob(blob: Blob, expected?: { digest: string; size?: number | undefined }): Promise<string> {
  if (expected?.size !== undefined && expected.size !== blob.size)
    throw refused(blob.operand, `${blob.size} bytes`, `${expected.size}, as its manifest says`);
  const { algorithm } = expected ? parseDigest(expected.digest, blob.operand) : { algorithm: 'sha256' };
  const hash = createHash(algorithm);
  for await (const chunk of blob.open()) hash.update(chunk);
  const found = `${algorithm}:${hash.digest('hex')}`;
  if (expected !== undefined && found !== expected.digest) throw wrongDigest(blob, found, expected.digest);
  return found;
}

function wrongDigest(blob: Blob, found: string, wanted: string) {
  return refused(blob.operand, `its digest is ${found}`, `${wanted}, as its manifest says`);
}
