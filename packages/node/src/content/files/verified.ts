import { mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileHash } from '@vmlet/messages';
import { orAborted } from '../../deadline.ts';
import { VmletError } from '../../errors.ts';
import { errnoOf } from '../../store/index.ts';
import { hashFile, stampOf } from '../verify.ts';

/** How often a file that keeps changing is hashed before it counts as damaged. */
const MAX_ATTEMPTS = 3;

/** Remembers which files this process has hashed, and hashes each at most once at a time. */
export class VerifiedFiles {
  readonly #stamps = new Map<FileHash, string>();
  readonly #running = new Map<FileHash, Promise<string>>();
  readonly #quarantine: string;

  constructor({ quarantine }: { quarantine: string }) {
    this.#quarantine = quarantine;
  }

  /** Resolves with `path` once its bytes are known to hash to `fileHash`. */
  async verify(fileHash: FileHash, options: { path: string; signal?: AbortSignal | undefined }): Promise<string> {
    const { path, signal } = options;
    signal?.throwIfAborted();
    if (this.#stamps.get(fileHash) === (await stampAt(path, fileHash))) return path;
    // Shared, and therefore not aborted by one caller's signal: the next caller gains from it.
    const running = this.#running.get(fileHash) ?? this.#start(fileHash, path);
    return signal === undefined ? await running : await orAborted(running, signal);
  }

  /** Forgets a removed file. */
  drop(fileHash: FileHash): void {
    this.#stamps.delete(fileHash);
  }

  #start(fileHash: FileHash, path: string): Promise<string> {
    const running = this.#hash(fileHash, path).finally(() => this.#running.delete(fileHash));
    this.#running.set(fileHash, running);
    // Whoever asked first may have stopped waiting; who waits still sees it fail.
    running.catch(() => {});
    return running;
  }

  async #hash(fileHash: FileHash, path: string): Promise<string> {
    this.#stamps.delete(fileHash);
    let found = '';
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const hashed = await hashFile(path).catch((error: unknown) => {
        throw absent(error, fileHash);
      });
      found = hashed.found;
      // Replaced or written to meanwhile: what was hashed is not what stands there now.
      if (hashed.stamp === undefined || hashed.stamp !== (await stampAt(path, fileHash))) continue;
      if (found === fileHash) {
        this.#stamps.set(fileHash, hashed.stamp);
        return path;
      }
      await this.#moveAside(fileHash, path);
      break;
    }
    throw new VmletError('CONTENT_CORRUPT', { operands: { fileHash, found } });
  }

  async #moveAside(fileHash: FileHash, path: string): Promise<void> {
    await mkdir(this.#quarantine, { recursive: true, mode: 0o700 });
    await rename(path, join(this.#quarantine, `${fileHash}.${Date.now()}`));
  }
}

async function stampAt(path: string, fileHash: FileHash): Promise<string> {
  try {
    return stampOf(await stat(path, { bigint: true }));
  } catch (error) {
    throw absent(error, fileHash);
  }
}

/** A missing file as `CONTENT_NOT_FOUND`, anything else as it is. */
export function absent(error: unknown, fileHash: string): unknown {
  if (errnoOf(error) !== 'ENOENT') return error;
  return new VmletError('CONTENT_NOT_FOUND', { operands: { fileHash }, cause: error });
}
