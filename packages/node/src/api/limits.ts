import { MAX_CONTENT_BYTES } from '../ledger/index.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** How much one request may bring, and how long it may wait. */
export interface ApiLimits {
  /** A file that comes without signed metadata; 0 refuses those. */
  readonly unsignedFileBytes: number;
  /** A file that comes after signed metadata, or before. */
  readonly signedFileBytes: number;
  /** The same for a file that is named by its CID. */
  readonly signedIpfsBytes: number;
  /** The bytes of a CAR, and what comes out of it; it always comes with signed metadata. */
  readonly carBytes: number;
  /** A file that comes after metadata signed by an address that the operator listed. */
  readonly trustedFileBytes: number;
  /** A message, also as the part `metadata`. */
  readonly messageBytes: number;
  /** A document for add_json. */
  readonly jsonBytes: number;
  /** A file that is answered within a JSON document. */
  readonly inlineFileBytes: number;
  /** How long `sync` waits for a pending message. */
  readonly syncMs: number;
  /** How long a client may take to send, or to take, `slowBytes`. */
  readonly slowMs: number;
  /** What a client must send, or take, in `slowMs`. */
  readonly slowBytes: number;
}

/** The network's limits, where it has one. */
export const defaultLimits: ApiLimits = {
  unsignedFileBytes: 25 * MIB,
  signedFileBytes: 100 * MIB,
  signedIpfsBytes: GIB,
  carBytes: 4 * GIB,
  trustedFileBytes: 4 * GIB,
  messageBytes: MIB,
  jsonBytes: MAX_CONTENT_BYTES,
  inlineFileBytes: 16 * MIB,
  syncMs: 30_000,
  slowMs: 60_000,
  slowBytes: 64 * 1024,
};
