import { open, readdir, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import type { FileHash } from '@vmlet/messages';
import { VmletError } from '../../errors.ts';
import { failpoint } from '../../failpoint.ts';
import { errnoOf, makePrivateDir, stageFile } from '../../store/index.ts';
import type {
  ContentListener,
  ContentReading,
  ContentStore,
  StagedContent,
  StageOptions,
  StoredContent,
} from '../store.ts';
import { checking } from '../verify.ts';
import { type ContentLayout, layoutOf, pathIn } from './layout.ts';
import { absent, VerifiedFiles } from './verified.ts';

/** Read-only for all: a stored file never changes. */
const MODE = 0o444;

/**
 * Opens a content store on plain files: `<dir>/<first two digits>/<file_hash>`. `sha256sum` of a file is its name.
 * @throws VmletError `STORAGE_FULL`, `STORAGE_FAILED`
 */
export async function openFileStore(dir: string): Promise<ContentStore> {
  const layout = layoutOf(dir);
  await makePrivateDir(layout.incoming);
  return new FileStore(layout);
}

class FileStore implements ContentStore {
  readonly #layout: ContentLayout;
  readonly #verified: VerifiedFiles;
  readonly #listeners = new Set<ContentListener>();

  constructor(layout: ContentLayout) {
    this.#layout = layout;
    this.#verified = new VerifiedFiles(layout);
  }

  async stage(source: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StagedContent> {
    const { expected } = options;
    const named = expected !== undefined && pathIn(this.#layout, expected) !== undefined;
    const staged = await stageFile(source, {
      ...options,
      temporaryDir: this.#layout.incoming,
      name: named ? expected : 'upload',
      mode: MODE,
    });
    const { fileHash, sizeBytes } = staged;
    return {
      fileHash,
      sizeBytes,
      commit: async () => {
        await failpoint('content.written');
        await staged.commit(this.#pathOf(fileHash));
        await failpoint('content.committed');
        await this.#announce({ fileHash, sizeBytes });
        return { fileHash, sizeBytes };
      },
      [Symbol.asyncDispose]: () => staged[Symbol.asyncDispose](),
    };
  }

  async put(source: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StoredContent> {
    await using staged = await this.stage(source, options);
    return await staged.commit();
  }

  async has(fileHash: FileHash): Promise<boolean> {
    return (await this.sizeOf(fileHash)) !== undefined;
  }

  async sizeOf(fileHash: FileHash): Promise<number | undefined> {
    const path = pathIn(this.#layout, fileHash);
    if (path === undefined) return undefined;
    try {
      return (await stat(path)).size;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async read(fileHash: FileHash, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<ContentReading> {
    signal?.throwIfAborted();
    const handle = await open(this.#pathOf(fileHash), 'r').catch((error: unknown) => {
      throw absent(error, fileHash);
    });
    try {
      const { size } = await handle.stat();
      const bytes = handle.createReadStream();
      const stream = Readable.from(checking(bytes, fileHash), { objectMode: false });
      // A stream destroyed before its first read never enters the generator, whose end would close the file.
      stream.once('close', () => bytes.destroy());
      if (signal !== undefined) addAbortSignal(signal, stream);
      return { sizeBytes: size, stream };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async verifiedPath(fileHash: FileHash, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<string> {
    return await this.#verified.verify(fileHash, { path: this.#pathOf(fileHash), signal });
  }

  async remove(fileHash: FileHash): Promise<boolean> {
    const path = pathIn(this.#layout, fileHash);
    if (path === undefined) return false;
    this.#verified.drop(fileHash);
    try {
      await unlink(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    }
    return true;
  }

  async sweepTemporary(): Promise<number> {
    const names = await readdir(this.#layout.incoming);
    for (const name of names) await rm(join(this.#layout.incoming, name), { force: true, recursive: true });
    return names.length;
  }

  subscribe(listener: ContentListener): () => void {
    // Wrapped, so that one function subscribed twice is two subscriptions.
    const entry: ContentListener = (stored) => listener(stored);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  async #announce(stored: StoredContent): Promise<void> {
    for (const listener of [...this.#listeners]) await listener(stored);
  }

  #pathOf(fileHash: FileHash): string {
    const path = pathIn(this.#layout, fileHash);
    if (path === undefined) throw new VmletError('CONTENT_NOT_FOUND', { operands: { fileHash } });
    return path;
  }
}
