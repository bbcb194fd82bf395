import type { FileHash } from '@vmlet/messages';

/** What the bytes of a file are: the file itself, or a tar of the directory that a CID names. */
export type ContentKind = 'file' | 'directory';

/** A CID whose tree was verified block by block, and what the bytes stored for it are. */
export interface VerifiedCid {
  readonly cid: FileHash;
  readonly kind: ContentKind;
}

/** Options of writing content. */
export interface StageOptions {
  /** More bytes than this are refused. */
  maxBytes: number;
  /** Bytes of another hash, or of another CID, are refused. */
  expected?: FileHash | undefined;
  /** Finds the bytes' CID as well, so that they are also stored under that; a CID as `expected` implies it. */
  dag?: boolean | undefined;
  /** Asked once the source has ended: a CID that the bytes are known to belong to, to be stored under that too. */
  verified?: (() => VerifiedCid) | undefined;
  signal?: AbortSignal | undefined;
}

/** Options of writing what is in a CAR; `expected` is the CID of its root. */
export type CarOptions = Pick<StageOptions, 'maxBytes' | 'expected' | 'signal'>;

/** A file as it lies in the store. */
export interface KeptContent {
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
  /** When these bytes were stored last, in milliseconds since 1970. */
  readonly storedMs: number;
}

/** Options of collecting a file. */
export interface CollectOptions {
  /** In milliseconds since 1970. */
  idleSinceMs: number;
  isHeld: (kept: KeptContent) => boolean;
}
