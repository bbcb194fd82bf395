import type { FileHash } from '@vmlet/messages';
import { cidOfDigest } from '../cid.ts';

/** Bytes of a file in one leaf, as kubo cuts files by default. */
export const CHUNK_BYTES = 262_144;
/** Links of one node, as kubo builds trees by default. */
export const LINKS_PER_NODE = 174;
/** Leaves that are hashed at the same time, by libuv's threads while this one goes on. */
const MAX_HASHING = 2;

/** Tags of protobuf fields: number and wire type. */
const PB_DATA = 0x0a;
const PB_LINK = 0x12;
const LINK_HASH = 0x0a;
const LINK_NAME = 0x12;
const LINK_TSIZE = 0x18;
const UNIXFS_FILE = [0x08, 0x02];
const UNIXFS_DATA = 0x12;
const UNIXFS_FILESIZE = 0x18;
const UNIXFS_BLOCKSIZES = 0x20;
/** What stands before a SHA-256 in a CIDv0. */
const MULTIHASH_SHA256 = [0x12, 0x20];

/** How a file is cut, and how many links a node has. */
export interface TreeShape {
  readonly chunkBytes: number;
  readonly linksPerNode: number;
}

/** A node of the tree as its parent links to it. */
interface Link {
  readonly digest: Uint8Array;
  /** Bytes of the file below it. */
  readonly fileBytes: number;
  /** Bytes of all blocks below it and its own. */
  readonly treeBytes: number;
}

/**
 * Finds the CIDv0 of a file while it passes by: the root of the tree that kubo builds by default (UnixFS, dag-pb leaves,
 * chunks of 262,144 bytes, 174 links a node, balanced). No block of it is kept.
 */
export class DagHasher {
  readonly #shape: TreeShape;
  readonly #chunk: Buffer;
  #filled = 0;
  readonly #hashing: Promise<Link>[] = [];
  /** By height above the leaves: the nodes that have no parent yet. */
  readonly #levels: Link[][] = [[]];

  /** @param shape other than kubo's only in tests, of trees that are deep and small */
  constructor(shape: TreeShape = { chunkBytes: CHUNK_BYTES, linksPerNode: LINKS_PER_NODE }) {
    this.#shape = shape;
    this.#chunk = Buffer.allocUnsafe(shape.chunkBytes);
  }

  /** Takes the next bytes, which may change once the promise has resolved. */
  async update(bytes: Uint8Array): Promise<void> {
    const { chunkBytes } = this.#shape;
    for (let offset = 0; offset < bytes.byteLength; ) {
      const part = bytes.subarray(offset, offset + chunkBytes - this.#filled);
      this.#chunk.set(part, this.#filled);
      this.#filled += part.byteLength;
      offset += part.byteLength;
      if (this.#filled === chunkBytes) await this.#endChunk();
    }
  }

  /** The CID of all bytes that were taken. To be asked once. */
  async digest(): Promise<FileHash> {
    // A file of no bytes is one leaf of none.
    const isEmpty = this.#hashing.length === 0 && this.#levels[0]?.length === 0 && this.#levels.length === 1;
    if (this.#filled > 0 || isEmpty) await this.#endChunk();
    while (this.#hashing.length > 0) await this.#takeOldest();
    for (let height = 0; ; height += 1) {
      const nodes = this.#levels[height] ?? [];
      const [only] = nodes;
      if (height === this.#levels.length - 1 && nodes.length === 1 && only !== undefined)
        return cidOfDigest(only.digest);
      if (nodes.length > 0) await this.#endNode(height);
    }
  }

  async #endChunk(): Promise<void> {
    if (this.#hashing.length >= MAX_HASHING) await this.#takeOldest();
    const chunk = this.#chunk.subarray(0, this.#filled);
    const hashing = leafOf(chunk);
    // Whoever stops in between never asks for it; who goes on sees it fail.
    hashing.catch(() => {});
    this.#hashing.push(hashing);
    this.#filled = 0;
  }

  async #takeOldest(): Promise<void> {
    const oldest = this.#hashing.shift();
    if (oldest !== undefined) await this.#add(0, await oldest);
  }

  async #add(height: number, link: Link): Promise<void> {
    const level = this.#levels[height] ?? [];
    this.#levels[height] = level;
    // A full level gets its parent only once another node follows: alone, that parent would be the root.
    if (level.length === this.#shape.linksPerNode) await this.#endNode(height);
    this.#levels[height]?.push(link);
  }

  async #endNode(height: number): Promise<void> {
    const links = this.#levels[height] ?? [];
    this.#levels[height] = [];
    await this.#add(height + 1, await parentOf(links));
  }
}

async function leafOf(chunk: Uint8Array): Promise<Link> {
  const size = varint(chunk.byteLength);
  const head = [...UNIXFS_FILE, ...(chunk.byteLength === 0 ? [] : [UNIXFS_DATA, ...size])];
  const tail = [UNIXFS_FILESIZE, ...size];
  const unixfsBytes = head.length + chunk.byteLength + tail.length;
  const block = Buffer.concat([Buffer.from([PB_DATA, ...varint(unixfsBytes), ...head]), chunk, Buffer.from(tail)]);
  return { digest: await sha256(block), fileBytes: chunk.byteLength, treeBytes: block.byteLength };
}

async function parentOf(links: readonly Link[]): Promise<Link> {
  const fileBytes = links.reduce((sum, link) => sum + link.fileBytes, 0);
  const sizes = links.flatMap((link) => [UNIXFS_BLOCKSIZES, ...varint(link.fileBytes)]);
  const unixfs = [...UNIXFS_FILE, UNIXFS_FILESIZE, ...varint(fileBytes), ...sizes];
  const block = Buffer.from([...links.flatMap(encodeLink), PB_DATA, ...varint(unixfs.length), ...unixfs]);
  const treeBytes = links.reduce((sum, link) => sum + link.treeBytes, block.byteLength);
  return { digest: await sha256(block), fileBytes, treeBytes };
}

function encodeLink({ digest, treeBytes }: Link): number[] {
  const cid = [...MULTIHASH_SHA256, ...digest];
  const link = [LINK_HASH, ...varint(cid.length), ...cid, LINK_NAME, 0, LINK_TSIZE, ...varint(treeBytes)];
  return [PB_LINK, ...varint(link.length), ...link];
}

async function sha256(block: Buffer<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', block));
}

/** A number as protobuf writes it. Sizes go beyond 32 bits, so without bit operations. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return [...bytes, rest];
}
