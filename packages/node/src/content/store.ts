import type { Readable } from 'node:stream';
import type { FileHash } from '@vmlet/messages';
import type { CarOptions, CollectOptions, ContentKind, KeptContent, StageOptions } from './options.ts';

/** A stored file. */
export interface StoredContent {
  /** The SHA-256 of the bytes. */
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
  /** The CID they are stored under as well, in its version 0; undefined where none is known. */
  readonly cid?: FileHash | undefined;
}

/** A file that was looked up by one of its names. */
export interface FoundContent extends StoredContent {
  readonly kind: ContentKind;
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

/**
 * Called with each file that was stored, once for each of its names: its SHA-256, and the two forms of its CID where
 * that is known. A file stored again is reported again.
 */
export type ContentListener = (stored: StoredContent) => void | Promise<void>;

/**
 * Files by the SHA-256 of their bytes, and by the CID of those that came with one. A CIDv1 names what the CIDv0 of the
 * same block names. What an implementation promises:
 *
 * - A hash is never answered for with other bytes: `read` MUST fail before its last byte, and `verifiedPath` MUST
 *   fail, if the bytes do not hash to their name.
 * - A file is whole or absent, at any moment and after kill -9. `stage`, `commit` and `put` that fail, or that are
 *   aborted, MUST leave nothing readable behind.
 * - What `commit` and `put` answered for MUST survive a power cut.
 * - Everything is idempotent: storing the same bytes again, at the same time too, MUST succeed; removing what is
 *   absent MUST succeed.
 * - A CID is answered for only with bytes for which it was found, or verified, as they were stored; what binds the two
 *   MUST be checked at each use like the bytes themselves.
 * - A hash of any other form names nothing: `has` MUST answer false and MUST NOT touch a file.
 * - Methods MUST NOT retry; their errors say whether trying again helps.
 */
export interface ContentStore {
  /**
   * Takes bytes in without storing them, so that a caller can decide at the end of a body.
   * @throws VmletError `CONTENT_TOO_LARGE`, `CONTENT_HASH_MISMATCH`, `DISK_LOW`, `STORAGE_FULL`, `STORAGE_FAILED`;
   *   whatever the source throws; the signal's reason
   */
  stage(source: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StagedContent>;

  /**
   * Takes a CAR of version 1 in, as the bytes that the tree of its one root stands for: a file, or a tar of a directory.
   * Each block MUST be hashed before it is used. `maxBytes` bounds the CAR, and what comes out of it.
   * @throws VmletError `CAR_REFUSED`, and as `stage`
   */
  stageCar(source: AsyncIterable<Uint8Array>, options: CarOptions): Promise<StagedContent>;

  /** `stage` and `commit` in one. */
  put(source: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StoredContent>;

  has(fileHash: FileHash): Promise<boolean>;

  /** In bytes; undefined if absent. */
  sizeOf(fileHash: FileHash): Promise<number | undefined>;

  /** What is stored under a name; undefined if nothing is. Its `cid` is the one that was asked for, if one was. */
  find(name: FileHash): Promise<FoundContent | undefined>;

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

  /** All files, in no order. Those stored or removed meanwhile may be missing or be there. */
  files(): AsyncIterable<KeptContent>;

  /** All CIDs that are known, in version 0, each with the SHA-256 of its bytes; those may be gone. */
  cids(): AsyncIterable<{ cid: FileHash; fileHash: FileHash }>;

  /**
   * Removes a file by its SHA-256, unless it is being stored, was asked for since `idleSinceMs`, or `isHeld` says that
   * something needs it. `isHeld` MUST be asked in the same step as the removal: no other code of this process runs
   * between its answer and the end of the file.
   * @returns how many bytes were freed; undefined if the file stays, or was absent
   */
  collect(fileHash: FileHash, options: CollectOptions): Promise<number | undefined>;

  /** Forgets a CID whose bytes are gone; false if they are there. */
  forgetCid(cid: FileHash): Promise<boolean>;

  /**
   * Removes what interrupted writes left. MUST be called before the first write of a process, by the only process
   * that uses the store.
   * @returns how many were removed
   */
  sweepTemporary(): Promise<number>;

  /** Calls `listener` after each file is on disk and before `commit` resolves. The answer ends the subscription. */
  subscribe(listener: ContentListener): () => void;
}
