import { statSync, unlinkSync } from 'node:fs';
import { open, readdir, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import type { FileHash } from '@vmlet/messages';
import type { DiskSpace } from '../../disk-space.ts';
import { VmletError } from '../../errors.ts';
import { failpoint } from '../../failpoint.ts';
import { errnoOf, makePrivateDir } from '../../store/index.ts';
import { canonicalCid, namesOfCid } from '../cid.ts';
import type { CarOptions, CollectOptions, KeptContent, StageOptions } from '../options.ts';
import type {
  ContentListener,
  ContentReading,
  ContentStore,
  FoundContent,
  StagedContent,
  StoredContent,
} from '../store.ts';
import { checking } from '../verify.ts';
import { CidRecords } from './cid-records.ts';
import { type ContentLayout, layoutOf, pathIn } from './layout.ts';
import { type StagedBytes, stageBytes } from './stage.ts';
import { stageCar } from './stage-car.ts';
import { absent, VerifiedFiles } from './verified.ts';

/** Read in larger steps than streams do by themselves: a file is sent at the speed of its hash. */
const READ_BYTES = 256 * 1024;

/**
 * Opens a content store on plain files: `<dir>/<first two digits>/<file_hash>`. `sha256sum` of a file is its name.
 * @throws VmletError `STORAGE_FULL`, `STORAGE_FAILED`
 */
export async function openFileStore(dir: string, { disk }: FileStoreOptions = {}): Promise<ContentStore> {
  const layout = layoutOf(dir);
  await makePrivateDir(layout.incoming);
  return new FileStore(layout, disk);
}

/** Options of a file store. */
export interface FileStoreOptions {
  /** Asked before bytes are taken, and again and again while they come. */
  disk?: Pick<DiskSpace, 'require'>;
}

class FileStore implements ContentStore {
  readonly #layout: ContentLayout;
  readonly #disk: FileStoreOptions['disk'];
  readonly #records: CidRecords;
  readonly #verified: VerifiedFiles;
  readonly #listeners = new Set<ContentListener>();
  /** How many commits of a file are under way. */
  readonly #storing = new Map<FileHash, number>();
  /** When a file was last asked for, in milliseconds since 1970; no more than there are files. */
  readonly #askedMs = new Map<FileHash, number>();

  constructor(layout: ContentLayout, disk: FileStoreOptions['disk']) {
    this.#layout = layout;
    this.#disk = disk;
    this.#records = new CidRecords(layout);
    this.#verified = new VerifiedFiles(layout);
  }

  async stage(source: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StagedContent> {
    return this.#staged(await stageBytes(source, { ...options, layout: this.#layout, disk: this.#disk }));
  }

  async stageCar(source: AsyncIterable<Uint8Array>, options: CarOptions): Promise<StagedContent> {
    return this.#staged(await stageCar(source, { ...options, layout: this.#layout, disk: this.#disk }));
  }

  async put(source: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StoredContent> {
    await using staged = await this.stage(source, options);
    return await staged.commit();
  }

  async has(fileHash: FileHash): Promise<boolean> {
    return (await this.sizeOf(fileHash)) !== undefined;
  }

  async sizeOf(fileHash: FileHash): Promise<number | undefined> {
    return (await this.find(fileHash))?.sizeBytes;
  }

  async find(name: FileHash): Promise<FoundContent | undefined> {
    const cid = canonicalCid(name);
    const record = cid && (await this.#records.find(cid));
    const fileHash = record?.fileHash ?? name;
    const path = pathIn(this.#layout, fileHash);
    if (path === undefined) return undefined;
    try {
      const { size: sizeBytes } = await stat(path);
      this.#askedMs.set(fileHash, Date.now());
      return { fileHash, sizeBytes, cid, kind: record?.kind ?? 'file' };
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async read(name: FileHash, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<ContentReading> {
    signal?.throwIfAborted();
    const { fileHash, path } = await this.#locate(name);
    const handle = await open(path, 'r').catch((error: unknown) => {
      throw absent(error, name);
    });
    this.#askedMs.set(fileHash, Date.now());
    try {
      const { size } = await handle.stat();
      const bytes = handle.createReadStream({ highWaterMark: READ_BYTES });
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

  async verifiedPath(name: FileHash, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<string> {
    const { fileHash, path } = await this.#locate(name);
    const verified = await this.#verified.verify(fileHash, { path, signal });
    this.#askedMs.set(fileHash, Date.now());
    return verified;
  }

  async remove(name: FileHash): Promise<boolean> {
    const found = await this.find(name);
    if (found === undefined) return false;
    const { fileHash, cid } = found;
    this.#forget(fileHash);
    if (cid !== undefined) await this.#records.remove(cid);
    try {
      await unlink(this.#pathOf(fileHash));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    }
    return true;
  }

  async *files(): AsyncGenerator<KeptContent> {
    for (const folder of await readdir(this.#layout.dir)) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue;
      for (const name of await readdir(join(this.#layout.dir, folder))) {
        const kept = this.#kept(name as FileHash);
        if (kept !== undefined) yield kept;
      }
    }
  }

  async *cids(): AsyncGenerator<{ cid: FileHash; fileHash: FileHash }> {
    for await (const { cid, fileHash } of this.#records.all()) yield { cid, fileHash };
  }

  async collect(fileHash: FileHash, { idleSinceMs, isHeld }: CollectOptions): Promise<number | undefined> {
    await failpoint('content.collecting');
    const kept = this.#kept(fileHash);
    const askedMs = this.#askedMs.get(fileHash) ?? 0;
    if (kept === undefined || askedMs > idleSinceMs || this.#storing.has(fileHash) || isHeld(kept)) return undefined;
    unlinkSync(this.#pathOf(fileHash));
    this.#forget(fileHash);
    await failpoint('content.collected');
    return kept.sizeBytes;
  }

  async forgetCid(cid: FileHash): Promise<boolean> {
    const record = await this.#records.find(cid);
    return record !== undefined && this.#records.removeIfBytesAreGone(record);
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

  #staged(staged: StagedBytes): StagedContent {
    const { fileHash, sizeBytes, record } = staged;
    return {
      fileHash,
      sizeBytes,
      cid: record?.cid,
      commit: () => this.#commit(staged),
      [Symbol.asyncDispose]: () => staged[Symbol.asyncDispose](),
    };
  }

  /** The bytes first, then the record of their CID: what is left in between is a file that nothing names. */
  async #commit({ fileHash, sizeBytes, record, moveTo }: StagedBytes): Promise<StoredContent> {
    // Until all of it is there, nobody may collect what an earlier upload of the same bytes left.
    this.#storing.set(fileHash, (this.#storing.get(fileHash) ?? 0) + 1);
    try {
      await failpoint('content.written');
      await moveTo(this.#pathOf(fileHash));
      if (record !== undefined) await this.#records.write(record);
      await failpoint('content.committed');
      const stored = { fileHash, sizeBytes, cid: record?.cid };
      await this.#announce(stored);
      return stored;
    } finally {
      const others = (this.#storing.get(fileHash) ?? 1) - 1;
      if (others === 0) this.#storing.delete(fileHash);
      else this.#storing.set(fileHash, others);
    }
  }

  async #announce({ fileHash, sizeBytes, cid }: StoredContent): Promise<void> {
    const names = [fileHash, ...(cid === undefined ? [] : namesOfCid(cid))];
    for (const listener of [...this.#listeners]) {
      for (const name of names) await listener({ fileHash: name, sizeBytes, cid });
    }
  }

  async #locate(name: FileHash): Promise<{ fileHash: FileHash; path: string }> {
    const cid = canonicalCid(name);
    const fileHash = cid === undefined ? name : (await this.#records.find(cid))?.fileHash;
    const path = fileHash && pathIn(this.#layout, fileHash);
    if (fileHash === undefined || path === undefined) {
      throw new VmletError('CONTENT_NOT_FOUND', { operands: { fileHash: name } });
    }
    return { fileHash, path };
  }

  #kept(fileHash: FileHash): KeptContent | undefined {
    const path = pathIn(this.#layout, fileHash);
    const found = path && statSync(path, { throwIfNoEntry: false });
    return found ? { fileHash, sizeBytes: found.size, storedMs: found.mtimeMs } : undefined;
  }

  #forget(fileHash: FileHash): void {
    this.#verified.drop(fileHash);
    this.#askedMs.delete(fileHash);
  }

  #pathOf(fileHash: FileHash): string {
    const path = pathIn(this.#layout, fileHash);
    if (path === undefined) throw new VmletError('CONTENT_NOT_FOUND', { operands: { fileHash } });
    return path;
  }
}
