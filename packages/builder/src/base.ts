import type { Readable } from 'node:stream';

/**
 * How the tree of a published runtime is had, for recipes that extend one: a machine of the guest kit reads its image,
 * since the host parses nobody's filesystem.
 */
export interface BaseTree {
  /** The file_hash of the image that `extends` names: a hash, a name, or a publisher and a name. */
  resolve(reference: string, signal?: AbortSignal): Promise<string>;
  /** A tar of the tree, with owners by number and extended attributes. */
  open(fileHash: string, signal?: AbortSignal): Promise<Readable>;
}
