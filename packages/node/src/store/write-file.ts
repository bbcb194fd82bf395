import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '@vmlet/host';
import type { FileHash } from '@vmlet/messages';
import { orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { storageError } from './storage-error.ts';

/** Ends every temporary name, so that a sweep knows them. */
export const TEMPORARY_SUFFIX = '.part';

/** What is written at once, in bytes and in chunks; as much may be under way. */
const MAX_HELD_BYTES = 1024 * 1024;
const MAX_HELD_CHUNKS = 256;

/** Options of {@link stageFile}. */
export interface StageFileOptions {
  /** The folder of the temporary file: on the file system of the final name. */
  temporaryDir: string;
  /** The final name, or what is known of it: it becomes part of the temporary name. */
  name: string;
  /** Permission bits the file ends with. */
  mode: number;
  /** More bytes than this are refused with `CONTENT_TOO_LARGE`. */
  maxBytes?: number;
  /** Bytes of another hash are refused with `CONTENT_HASH_MISMATCH`. */
  expected?: FileHash | undefined;
  signal?: AbortSignal | undefined;
}

/** A whole file under a temporary name, on disk. Disposing of it before `commit` removes it. */
export interface StagedFile extends AsyncDisposable {
  readonly path: string;
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
  /**
   * Gives the file its final name and returns when that is on disk. An existing file is replaced; with
   * `exclusive` it is kept and the answer is false.
   */
  commit(target: string, options?: { exclusive?: boolean }): Promise<boolean>;
}

/**
 * The one function that writes files: bytes go to a temporary name while they are counted and hashed, then to
 * disk (fsync). Whatever fails, the temporary file is removed; only kill -9 leaves one, for the sweep at start.
 *
 * @throws VmletError `CONTENT_TOO_LARGE`, `CONTENT_HASH_MISMATCH`, `STORAGE_FULL`, `STORAGE_FAILED`; whatever the
 *   source throws; the signal's reason
 */
export async function stageFile(source: AsyncIterable<Uint8Array>, options: StageFileOptions): Promise<StagedFile> {
  const unique = `${process.pid}-${randomBytes(6).toString('hex')}`;
  const path = join(options.temporaryDir, `${options.name}.${unique}${TEMPORARY_SUFFIX}`);
  try {
    const handle = await open(path, 'wx', 0o600);
    try {
      const written = await copy(source, { handle, options });
      await handle.chmod(options.mode);
      await handle.sync();
      return stagedFile(path, { ...written, name: options.name });
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    throw storageError(error, options.name);
  }
}

/** Writes `bytes` to `target` whole or not at all. With `exclusive` an existing file is kept and the answer is false. */
export async function writeFileAtomic(
  target: string,
  options: { bytes: Uint8Array; mode: number; exclusive?: boolean },
): Promise<boolean> {
  const name = target.slice(dirname(target).length + 1);
  const source = (async function* () {
    yield options.bytes;
  })();
  await using staged = await stageFile(source, { temporaryDir: dirname(target), name, mode: options.mode });
  return await staged.commit(target, { exclusive: options.exclusive ?? false });
}

interface Written {
  fileHash: FileHash;
  sizeBytes: number;
}

async function copy(
  source: AsyncIterable<Uint8Array>,
  to: { handle: FileHandle; options: StageFileOptions },
): Promise<Written> {
  const { expected, maxBytes = Number.POSITIVE_INFINITY, signal } = to.options;
  const hash = createHash('sha256');
  let sizeBytes = 0;
  await using writing = new Writing(to.handle);
  for await (const chunk of abortable(source, signal)) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > maxBytes) throw new VmletError('CONTENT_TOO_LARGE', { operands: { maxBytes } });
    hash.update(chunk);
    await writing.add(chunk);
  }
  await writing.end();
  const found = hash.digest('hex') as FileHash;
  if (expected !== undefined && expected !== found) {
    throw new VmletError('CONTENT_HASH_MISMATCH', { operands: { found, expected } });
  }
  return { fileHash: found, sizeBytes };
}

/** Writes several chunks at once, while the next ones are hashed. */
class Writing implements AsyncDisposable {
  readonly #handle: FileHandle;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #underWay: Promise<void> = Promise.resolve();

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Takes a chunk, which MUST NOT change after that. */
  async add(chunk: Uint8Array): Promise<void> {
    this.#held.push(chunk);
    this.#heldBytes += chunk.byteLength;
    if (this.#heldBytes >= MAX_HELD_BYTES || this.#held.length >= MAX_HELD_CHUNKS) await this.#start();
  }

  /** Resolves when all is written. */
  async end(): Promise<void> {
    await this.#start();
    await this.#underWay;
  }

  /** Nothing is under way any more, so that the file can be closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    // What went wrong is told by `add` or `end`, or is no more than a consequence.
    await this.#underWay.catch(() => {});
  }

  async #start(): Promise<void> {
    await this.#underWay;
    const chunks = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    this.#underWay = writeAll(this.#handle, chunks);
    // Whoever awaits it next sees it fail; until then it is nobody's.
    this.#underWay.catch(() => {});
  }
}

async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  let left = chunks.filter((chunk) => chunk.byteLength > 0);
  // A nearly full disk takes part of it before it reports an error.
  while (left.length > 0) left = after(left, (await handle.writev(left)).bytesWritten);
}

/** What of chunks comes after so many bytes. */
function after(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skipped = bytes;
  return chunks.flatMap((chunk) => {
    const rest = chunk.subarray(Math.min(skipped, chunk.byteLength));
    skipped -= chunk.byteLength - rest.byteLength;
    return rest.byteLength > 0 ? [rest] : [];
  });
}

async function* abortable(source: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      // Before a next() that nobody would wait for.
      signal?.throwIfAborted();
      const next = signal ? await orAborted(iterator.next(), signal) : await iterator.next();
      ended = next.done ?? false;
      if (ended) return;
      yield next.value as Uint8Array;
    }
  } finally {
    // Not awaited: a source that hangs in next() would also hang here.
    if (!ended) iterator.return?.().catch(() => {});
  }
}

function stagedFile(path: string, file: Written & { name: string }): StagedFile {
  let committed = false;
  return {
    path,
    fileHash: file.fileHash,
    sizeBytes: file.sizeBytes,
    async commit(target, { exclusive = false } = {}) {
      try {
        const kept = await moveInto(target, { from: path, exclusive });
        committed = !exclusive;
        return kept;
      } catch (error) {
        throw storageError(error, file.name);
      }
    },
    async [Symbol.asyncDispose]() {
      if (!committed) await rm(path, { force: true });
    },
  };
}

async function moveInto(target: string, options: { from: string; exclusive: boolean }): Promise<boolean> {
  const dir = dirname(target);
  const created = await mkdir(dir, { recursive: true, mode: 0o700 });
  if (created !== undefined) await syncDirectory(dirname(created));
  if (!options.exclusive) await rename(options.from, target);
  else if (!(await linked(options.from, target))) return false;
  await syncDirectory(dir);
  return true;
}

async function linked(from: string, target: string): Promise<boolean> {
  try {
    await link(from, target);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}
