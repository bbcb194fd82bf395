/** What may come in, at most: an archive is anybody's. `docs/LIMITS.md` has the reasons. */
export const IMPORT_LIMITS = {
  /** Entries of all layers together, with the folders that they imply. */
  entries: 500_000,
  /** Names, links and extended attributes of all of them, which are held in memory. */
  namesBytes: 256 * 1024 * 1024,
  /** Content of all files of all layers together, holes counted as bytes. */
  treeBytes: 8 * 1024 * 1024 * 1024,
  /** All that a layer gives when it is unpacked, headers and padding too. */
  layerBytes: 16 * 1024 * 1024 * 1024,
  layers: 512,
  /** A manifest, an index or a configuration. */
  documentBytes: 4 * 1024 * 1024,
  /** What stands before one entry: its extended header, or its long name. */
  headerBytes: 1024 * 1024,
  pathBytes: 4096,
  /** One name between two slashes. */
  nameBytes: 255,
  /** Extended attributes of one entry, names and values together. */
  xattrBytes: 64 * 1024,
  /** Folders above one entry. */
  depth: 512,
  /** Links followed on the way to one entry, as many as Linux follows. */
  linkHops: 40,
} as const;

/** Limits as they are, or smaller ones in a test. */
export type ImportLimits = { readonly [Name in keyof typeof IMPORT_LIMITS]: number };
