import { MAX_CONTENT_BYTES } from '../ledger/index.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** How much one request may bring, and how long it may wait. */
export interface ApiLimits {
  /** A file that comes without signed metadata; 0 refuses those. */
  readonly unsignedFileBytes: number;
  /** A file that comes after signed metadata, or before. */
  readonly signedFileBytes: number;
  /** A file that comes after metadata signed by an address that the operator listed. */
  readonly trustedFileBytes: number;
  /** A message, also as the part `metadata`. */
  readonly messageBytes: number;
  /** A document for add_json. */
  readonly jsonBytes: number;
  /** How long `sync` waits for a pending message. */
  readonly syncMs: number;
}

/** The network's limits, where it has one. */
export const defaultLimits: ApiLimits = {
  unsignedFileBytes: 25 * MIB,
  signedFileBytes: 100 * MIB,
  trustedFileBytes: 4 * GIB,
  messageBytes: MIB,
  jsonBytes: MAX_CONTENT_BYTES,
  syncMs: 30_000,
};
