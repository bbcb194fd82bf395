import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expectStatus, send } from '../client/http.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';
import { ProgressBar } from '../progress-bar.ts';

const SHA256 = /^[0-9a-f]{64}$/;

/** Where an image is fetched from, and to. */
export interface FetchOptions {
  /** URL of a node that has it. */
  node: string;
  /** A folder of the caller's, who removes it. */
  folder: string;
  output: Output;
  signal: AbortSignal;
}

/**
 * Fetches a file of a node to a folder, and checks that it is what its name says.
 * @param fileHash SHA-256 in hex; a CID names bytes in a way that only nodes check
 * @returns its path
 * @throws CliError `RUNTIME_UNREADABLE`, `NODE_UNREACHABLE` and their like; ProblemError
 */
export async function fetchImage(fileHash: string, { node, folder, output, signal }: FetchOptions): Promise<string> {
  const refuse = (found: string, expected: string) =>
    new CliError('RUNTIME_UNREADABLE', { operands: { path: fileHash, found, expected } });
  if (!SHA256.test(fileHash)) throw refuse('a CID', 'a file_hash of 64 hex digits, or the file of the image');
  const path = `/api/v0/storage/raw/${fileHash}`;
  const origin = { url: node };
  const answer = await send(origin, { path, signal });
  await expectStatus(answer, { wanted: [200], request: `GET ${path}`, origin, signal });
  const length = Number(answer.headers['content-length']);
  const bar = new ProgressBar(output, { step: 'Fetching', totalBytes: length > 0 ? length : undefined });
  const hash = createHash('sha256');
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bar.add(chunk.length);
      done(null, chunk);
    },
  });
  const file = join(folder, fileHash);
  await pipeline(answer, counted, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
  if (hash.digest('hex') !== fileHash) throw refuse('other bytes', 'those that hash to its name');
  return file;
}

/** SHA-256 of a file, in hex. */
export async function hashOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
