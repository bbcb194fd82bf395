/** What an archive of code may hold, whoever made it. Sizes are of what comes out of it. */
export interface UnpackLimits {
  maxEntries: number;
  maxBytes: number;
  /** Bytes out for each byte in, over the whole archive; only asked of archives that unpack to over `ratioFreeBytes`. */
  maxRatio: number;
  ratioFreeBytes: number;
  /** Of a whole path, in bytes of UTF-8. */
  maxPathBytes: number;
  maxDepth: number;
}

/** Generous for programs, far from what would hurt a node. */
export const UNPACK_LIMITS: UnpackLimits = {
  maxEntries: 100_000,
  maxBytes: 1024 * 1024 * 1024,
  maxRatio: 200,
  ratioFreeBytes: 16 * 1024 * 1024,
  maxPathBytes: 1024,
  maxDepth: 64,
};
