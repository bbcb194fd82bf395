const MIB = 1024 * 1024;

/** What may be packed. The node has the same limits; here they are told before anything is sent. */
export interface PackLimits {
  readonly maxFiles: number;
  readonly maxUnpackedBytes: number;
  /** Of the zip. */
  readonly maxPackedBytes: number;
}

export const PACK_LIMITS: PackLimits = {
  maxFiles: 100_000,
  maxUnpackedBytes: 1024 * MIB,
  maxPackedBytes: 100 * MIB,
};
