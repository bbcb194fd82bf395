import { CarReader } from '@ipld/car/reader';
import { CID } from 'multiformats/cid';
import { refuseCar } from './refuse-car.ts';
import { readVarint } from './unixfs.ts';

/** Of one block: twice what any node of the network passes on. */
const MAX_BLOCK_BYTES = 4 * 1024 * 1024;
const MAX_HEADER_BYTES = 64 * 1024;
/** A directory of so many small files has as many blocks. */
const MAX_BLOCKS = 262_144;
/** Of a CID before its block: more than any of a hash that is known here. */
const MAX_CID_BYTES = 128;
/** Of the length before a section. */
const MAX_LENGTH_BYTES = 7;
const SHA2_256 = 0x12;
const IDENTITY = 0x00;

/** Where a block's bytes are in a CAR. */
export interface BlockPlace {
  readonly offset: number;
  readonly length: number;
}

/**
 * What a CAR holds, learned while its bytes pass by: which tree is meant, and where its blocks are. Each block was hashed
 * and is what its CID says.
 */
export class CarIndex {
  readonly #places = new Map<string, BlockPlace>();
  #root: CID | undefined;

  /** Which tree is meant. */
  get root(): CID {
    return this.#root ?? refuseCar('an empty body', 'a CAR of version 1');
  }

  /** Where a block is; undefined if it is not in the CAR. */
  placeOf(cid: CID): BlockPlace | undefined {
    return this.#places.get(keyOf(cid));
  }

  /**
   * Passes the bytes of a CAR of version 1 on, section by section, and learns from them.
   * @throws VmletError `CAR_REFUSED`
   */
  async *learn(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const sections = sectionsOf(source);
    for await (const { length, body, bytes, offset } of sections) {
      if (this.#root === undefined) this.#root = await rootOf(length, body);
      else await this.#addBlock(body, offset);
      yield bytes;
    }
    // Asked for its error.
    void this.root;
  }

  async #addBlock(body: Buffer, offset: number): Promise<void> {
    const { cid, length } = readCid(body);
    const block = body.subarray(length);
    const { code, digest } = cid.multihash;
    // A hash that is the block itself: nothing to be looked up.
    if (code === IDENTITY) return;
    if (code !== SHA2_256) refuseCar(`the block '${cid}' with a hash of type ${code}`, 'SHA-256');
    const found = Buffer.from(await crypto.subtle.digest('SHA-256', copied(block)));
    if (!found.equals(digest)) refuseCar(`a block that does not hash to its name '${cid}'`, 'blocks that do');
    this.#places.set(keyOf(cid), { offset: offset + length, length: block.length });
    if (this.#places.size > MAX_BLOCKS) refuseCar(`more than ${MAX_BLOCKS} blocks`, 'fewer');
  }
}

/** By the hash alone: what a block is for is said by who links to it. */
function keyOf(cid: CID): string {
  return Buffer.from(cid.multihash.bytes).toString('latin1');
}

function copied(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

function readCid(body: Buffer): { cid: CID; length: number } {
  try {
    const [cid, rest] = CID.decodeFirst(body.subarray(0, MAX_CID_BYTES));
    return { cid, length: Math.min(body.length, MAX_CID_BYTES) - rest.length };
  } catch (cause) {
    return refuseCar('a section without a CID', 'one before each block', cause);
  }
}

async function rootOf(length: Buffer, body: Buffer): Promise<CID> {
  if (body.length > MAX_HEADER_BYTES) refuseCar(`a header of ${body.length} bytes`, `at most ${MAX_HEADER_BYTES}`);
  const roots = await readRoots(Buffer.concat([length, body]));
  const [root] = roots;
  if (root === undefined || roots.length > 1) return refuseCar(`${roots.length} roots`, 'one');
  return root;
}

async function readRoots(header: Buffer): Promise<CID[]> {
  try {
    return await (await CarReader.fromBytes(header)).getRoots();
  } catch (cause) {
    return refuseCar(`a header that is none (${cause instanceof Error ? cause.message : cause})`, 'version 1', cause);
  }
}

interface Section {
  /** The length of the body as it is written. */
  length: Buffer;
  body: Buffer;
  /** Both. */
  bytes: Buffer;
  /** Where the body begins in the CAR. */
  offset: number;
}

/** Cuts a CAR into its sections: a length, and so many bytes. */
async function* sectionsOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Section> {
  let parts: Uint8Array[] = [];
  let heldBytes = 0;
  let position = 0;
  let wantedBytes = 1;
  for await (const chunk of source) {
    parts.push(chunk);
    heldBytes += chunk.byteLength;
    while (heldBytes >= wantedBytes) {
      const held = parts.length === 1 && parts[0] !== undefined ? asBuffer(parts[0]) : Buffer.concat(parts);
      const size = lengthOf(held);
      wantedBytes = size === undefined ? heldBytes + 1 : size.end + size.value;
      const isWhole = size !== undefined && heldBytes >= wantedBytes;
      const bytes = isWhole ? held.subarray(0, wantedBytes) : undefined;
      parts = [bytes === undefined ? held : held.subarray(bytes.length)];
      if (size === undefined || bytes === undefined) break;
      yield { length: bytes.subarray(0, size.end), body: bytes.subarray(size.end), bytes, offset: position + size.end };
      position += bytes.length;
      heldBytes -= bytes.length;
      wantedBytes = 1;
    }
  }
  if (heldBytes > 0) refuseCar(`an end within the section at ${position}`, 'a whole CAR');
}

/** undefined if it has not come yet. */
function lengthOf(bytes: Buffer): { value: number; end: number } | undefined {
  const size = readVarint(bytes, 0);
  if (size === undefined && bytes.length >= MAX_LENGTH_BYTES) refuseCar('a length that does not end', 'a CAR');
  if (size?.value === 0) refuseCar('an empty section', 'blocks until the end');
  if (size !== undefined && size.value > MAX_BLOCK_BYTES + MAX_CID_BYTES) {
    refuseCar(`a section of ${size.value} bytes`, `blocks of at most ${MAX_BLOCK_BYTES}`);
  }
  return size;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
