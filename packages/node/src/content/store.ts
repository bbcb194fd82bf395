import type { Readable } from 'node:stream';
import type { FileHash } from '@vmlet/messages';

/** Options of writing content. */
export interface StageOptions {
  /** More bytes than this are refused. */
  maxBytes: number;
  /** Bytes of another hash are refused. */
  expected?: FileHash | undefined;
  signal?: AbortSignal | undefined;
}

/** A stored file. */
export interface StoredContent {
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
}

/** Bytes that are whole and hashed, and not stored yet. Disposing of them before `commit` removes them. */
export interface StagedContent extends StoredContent, AsyncDisposable {
  /** Stores them. They are on disk, and every subscriber has finished, when the promise resolves. */
  commit(): Promise<StoredContent>;
}

/** A file being read. */
export interface ContentReading {
  readonly sizeBytes: number;
  /** The bytes. Whoever gets it reads or destroys it. */
  readonly stream: Readable;
}

/** Called with each file that was stored; a file stored again is reported again. */
export type ContentListener = (stored: StoredContent) => void | Promise<void>;

/**
 * Files by the SHA-256 of their bytes. What an implementation promises:
 *
 * - A hash is never answered for with other bytes: `read` MUST fail before its last byte, and `verifiedPath` MUST
 *   fail, if the bytes do not hash to their name.
 * - A file is whole or absent, at any moment and after kill -9. `stage`, `commit` and `put` that fail, or that are
 *   aborted, MUST leave nothing readable behind.
 * - What `commit` and `put` answered for MUST survive a power cut.
 * - Everything is idempotent: storing the same bytes again, at the same time too, MUST succeed; removing what is
 *   absent MUST succeed.
 * - A hash of any other form, a CID included, names nothing: `has` MUST answer false and MUST NOT touch a file.
 * - Methods MUST NOT retry; their errors say whether trying again helps.
 */
export interface ContentStore {
  /**
   * Takes bytes in without storing them, so that a caller can decide at the end of a body.
   * @throws VmletError `CONTENT_TOO_LARGE`, `CONTENT_HASH_MISMATCH`, `STORAGE_FULL`, `STORAGE_FAILED`; whatever
   *   the source throws; the signal's reason
   */
  stage(source: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StagedContent>;

  /** `stage` and `commit` in one. */
  put(source: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StoredContent>;

  has(fileHash: FileHash): Promise<boolean>;

  /** In bytes; undefined if absent. */
  sizeOf(fileHash: FileHash): Promise<number | undefined>;

  /**
   * Opens a file for reading. Bytes that do not hash to their name end the stream with `CONTENT_CORRUPT`.
   * @throws VmletError `CONTENT_NOT_FOUND`
   */
  read(fileHash: FileHash, options?: { signal?: AbortSignal | undefined }): Promise<ContentReading>;

  /**
   * The path of a file whose bytes were hashed by this process and have not changed since, as far as device, inode,
   * size and times tell. A file that does not match MUST be moved out of reach before the error.
   * @throws VmletError `CONTENT_NOT_FOUND`, `CONTENT_CORRUPT`; the signal's reason
   */
  verifiedPath(fileHash: FileHash, options?: { signal?: AbortSignal | undefined }): Promise<string>;

  /** Removes a file; false if it was absent. Open readings and running machines keep what they have. */
  remove(fileHash: FileHash): Promise<boolean>;

  /**
   * Removes what interrupted writes left. MUST be called before the first write of a process, by the only process
   * that uses the store.
   * @returns how many were removed
   */
  sweepTemporary(): Promise<number>;

  /** Calls `listener` after each file is on disk and before `commit` resolves. The answer ends the subscription. */
  subscribe(listener: ContentListener): () => void;
}
