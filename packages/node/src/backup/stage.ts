import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, link, mkdir, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileHash } from '@vmlet/messages';
import { errnoOf, makePrivateDir, stageFile } from '../store/index.ts';

/** What is under way has a name that ends so; the next run begins anew. */
const UNFINISHED = '.vmlet-unfinished';

/** A folder in which something is prepared. Disposing of it removes it, unless it was given another name. */
export interface Stage extends AsyncDisposable {
  readonly dir: string;
}

/** Makes the empty folder beside `target`, on its disk, and removes what a killed process left of one. */
export async function openStage(target: string): Promise<Stage> {
  const dir = `${target}${UNFINISHED}`;
  const clear = () => rm(dir, { recursive: true, force: true });
  await clear();
  await makePrivateDir(dir);
  return { dir, [Symbol.asyncDispose]: clear };
}

/** A file that is whole and on disk. */
export interface Written {
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface WriteOptions {
  /** Bytes of another SHA-256 are refused. */
  expected?: string | undefined;
  mode: number;
  signal?: AbortSignal | undefined;
}

/** Writes a file of a stage. @throws as `stageFile` does */
export async function writeInto(
  stage: Stage,
  path: string,
  { source, expected, mode, signal }: WriteOptions & { source: AsyncIterable<Uint8Array> },
): Promise<Written> {
  const name = path.replaceAll('/', '-').slice(0, 200);
  const options = { temporaryDir: stage.dir, name, mode, signal, expected: expected as FileHash | undefined };
  await using staged = await stageFile(source, options);
  await staged.commit(join(stage.dir, path));
  return { sizeBytes: staged.sizeBytes, sha256: staged.fileHash };
}

/** Copies a file into a stage. */
export async function copyInto(
  stage: Stage,
  path: string,
  { from, ...options }: WriteOptions & { from: string },
): Promise<Written> {
  await using file = await open(from);
  return await writeInto(stage, path, { ...options, source: file.createReadStream({ autoClose: false }) });
}

/** Gives a file that never changes a second name in a stage; false where that cannot be, as on another disk. */
export async function linkInto(stage: Stage, path: string, { from }: { from: string }): Promise<boolean> {
  const target = join(stage.dir, path);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  try {
    await link(from, target);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw error;
    return false;
  }
}

/** Brings a file that was written by other means to disk, and hashes it. */
export async function sealed(path: string): Promise<Written> {
  await chmod(path, 0o600);
  await using file = await open(path, 'r+');
  await file.sync();
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}
