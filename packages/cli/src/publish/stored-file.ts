import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtempDisposable, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { keptPath, type Lock } from '@vmlet/builder/packages';
import type { PublicApi } from '../client/api.ts';
import { broken, expectStatus, readBytes, send } from '../client/http.ts';
import { CliError } from '../errors.ts';

/** What goes with a runtime is text, and no more than this. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;

interface From {
  api: PublicApi;
  signal: AbortSignal;
}

/**
 * The text that a STORE message of a node leads to; checked to be what its name says, where that is a SHA-256.
 * @throws CliError `ANSWER_BROKEN` and their like, ProblemError
 */
export async function storedText(itemHash: string, { api, signal }: From): Promise<string> {
  const { file_hash: fileHash } = await api.storedFile(itemHash, signal);
  const bytes = await rawBytes(fileHash, { api, signal });
  return bytes.toString('utf8');
}

/** A small file of a node by its SHA-256. Throws as {@link storedText} does. */
export async function rawBytes(fileHash: string, { api, signal }: From): Promise<Buffer> {
  const origin = { url: api.url };
  const path = `/api/v0/storage/raw/${encodeURIComponent(fileHash)}`;
  const answer = await send(origin, { path, signal });
  await expectStatus(answer, { wanted: [200], request: 'GET /api/v0/storage/raw/...', origin, signal });
  const bytes = await readBytes(answer, { origin, signal, maxBytes: MAX_TEXT_BYTES });
  const found = createHash('sha256').update(bytes).digest('hex');
  if (/^[0-9a-f]{64}$/.test(fileHash) && found !== fileHash)
    throw broken(origin, `other bytes than those of ${fileHash}`);
  return bytes;
}

/**
 * Takes packages of a lock that are not in the cache from a node that has them, by their hashes; those that it lacks
 * are left to the mirrors.
 * @returns how many came
 */
export async function fetchStoredPackages(
  lock: Lock,
  {
    cache,
    has,
    onProgress,
    ...from
  }: From & { cache: string; has: (path: string) => Promise<boolean>; onProgress: (detail: string) => void },
): Promise<number> {
  let fetched = 0;
  for (const { name, version, sha256, sizeBytes } of lock.packages) {
    const path = keptPath(join(cache, 'packages'), { sha256 });
    if (await has(path)) continue;
    onProgress(`${name} ${version}`);
    if (await fetchPackage(path, { ...from, sha256, sizeBytes })) fetched += 1;
  }
  return fetched;
}

async function fetchPackage(
  path: string,
  { api, signal, sha256, sizeBytes }: From & { sha256: string; sizeBytes: number },
): Promise<boolean> {
  const origin = { url: api.url };
  const answer = await send(origin, { path: `/api/v0/storage/raw/${sha256}`, signal });
  if (answer.statusCode !== 200) {
    answer.resume();
    return false;
  }
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  await using work = await mkdtempDisposable(join(folder, 'fetch-'));
  const part = join(work.path, 'part');
  const hash = createHash('sha256');
  let taken = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      taken += chunk.length;
      hash.update(chunk);
      done(taken > sizeBytes ? broken(origin, `more than the ${sizeBytes} bytes of the lock file`) : null, chunk);
    },
  });
  await pipeline(answer, counted, createWriteStream(part, { flags: 'wx', mode: 0o644 }), { signal });
  if (hash.digest('hex') !== sha256) {
    throw new CliError('ANSWER_BROKEN', { operands: { node: api.url, found: `other bytes than those of ${sha256}` } });
  }
  await rename(part, path);
  return true;
}
