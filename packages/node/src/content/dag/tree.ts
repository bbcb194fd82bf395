import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { decode, type PBLink, type PBNode } from '@ipld/dag-pb';
import type { CID } from 'multiformats/cid';
import { pack } from 'tar-stream';
import type { ContentKind } from '../options.ts';
import { refuseCar } from './refuse-car.ts';
import { readUnixFs, type UnixFsNode, UnixFsType } from './unixfs.ts';

const DAG_PB = 0x70;
const RAW = 0x55;
const IDENTITY = 0x00;
/**
 * A node that is linked to often is read as often: without a bound a few blocks would be endless. A link takes 34 bytes of
 * a CAR at least, and what is read again and again is worth it if it gives bytes.
 */
const FREE_VISITS = 4096;
const CAR_BYTES_A_VISIT = 16;
const FILE_BYTES_A_VISIT = 256;
const MAX_DEPTH = 64;
const MAX_NAME_BYTES = 255;
const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;

/** Gives a block that was verified. @throws VmletError `CAR_REFUSED` if it is not there */
export type GetBlock = (cid: CID) => Promise<Uint8Array>;

interface Node {
  readonly unixFs: UnixFsNode;
  readonly links: readonly PBLink[];
}

/** Reads a tree of UnixFS to the bytes that it stands for. Trees come from anyone. */
export class UnixFsTree {
  readonly #getBlock: GetBlock;
  #visitsLeft: number;

  /** @param options `carBytes`: how long the CAR is that the blocks came in */
  constructor(getBlock: GetBlock, { carBytes }: { carBytes: number }) {
    this.#getBlock = getBlock;
    this.#visitsLeft = FREE_VISITS + carBytes / CAR_BYTES_A_VISIT;
  }

  /**
   * The bytes of the file, or a tar of the directory, with paths below the name of the root.
   * @throws VmletError `CAR_REFUSED`; the stream ends with it, too
   */
  async open(root: CID): Promise<{ kind: ContentKind; bytes: AsyncIterable<Uint8Array> }> {
    const node = await this.#read(root);
    if (isFile(node)) return { kind: 'file', bytes: this.#fileBytes(root) };
    if (!isDirectory(node)) refuseCar(`a root of UnixFS type ${node.unixFs.type}`, 'a file or a directory');
    return { kind: 'directory', bytes: this.#tar(root) };
  }

  /** Depth first, without recursion: a tree may be as deep as it is large. */
  async *#fileBytes(root: CID): AsyncGenerator<Uint8Array> {
    const waiting: CID[] = [root];
    for (let cid = waiting.pop(); cid !== undefined; cid = waiting.pop()) {
      const node = await this.#read(cid);
      if (!isFile(node)) refuseCar(`a node of UnixFS type ${node.unixFs.type} in a file`, 'parts of a file');
      const { data } = node.unixFs;
      this.#visitsLeft += data.byteLength / FILE_BYTES_A_VISIT;
      if (data.byteLength > 0) yield data;
      for (const { Hash } of node.links.toReversed()) waiting.push(Hash);
      if (waiting.length > this.#visitsLeft) endless();
    }
  }

  async *#tar(root: CID): AsyncGenerator<Uint8Array> {
    const tar = pack();
    const header = { uid: 0, gid: 0, mtime: new Date(0) };
    const filling = (async () => {
      for await (const { path, node, cid } of this.#entries(root)) {
        if (isDirectory(node)) {
          tar.entry({ ...header, name: `${path}/`, type: 'directory', mode: DIRECTORY_MODE });
          continue;
        }
        const size = node.links.length === 0 ? node.unixFs.data.byteLength : node.unixFs.fileBytes;
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const entry = tar.entry({ ...header, name: path, size, mode: FILE_MODE }, (error) =>
          error ? reject(error) : resolve(),
        );
        await Promise.all([promise, pipeline(Readable.from(this.#sized(cid, { path, size })), entry)]);
      }
      tar.finalize();
    })();
    filling.catch((error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))));
    try {
      for await (const bytes of tar) yield bytes as Buffer;
      await filling;
    } finally {
      tar.destroy();
      // Ends with the tar, and has told why by it.
      await filling.catch(() => {});
    }
  }

  /** A file that is not as long as its node says would be a tar of another form. */
  async *#sized(cid: CID, { path, size }: { path: string; size: number }): AsyncGenerator<Uint8Array> {
    let seenBytes = 0;
    const wrong = () => refuseCar(`'${path}' with other than the ${size} bytes that it names`, 'true sizes');
    for await (const bytes of this.#fileBytes(cid)) {
      seenBytes += bytes.byteLength;
      if (seenBytes > size) wrong();
      yield bytes;
    }
    if (seenBytes !== size) wrong();
  }

  /** Everything in a directory, itself first. */
  async *#entries(root: CID): AsyncGenerator<{ path: string; node: Node; cid: CID }> {
    const waiting = [{ path: String(root), cid: root, depth: 0 }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { path, cid, depth } = next;
      const node = await this.#read(cid);
      if (!isFile(node) && !isDirectory(node)) {
        refuseCar(`'${path}' of UnixFS type ${node.unixFs.type}`, 'files and directories');
      }
      yield { path, node, cid };
      if (isFile(node)) continue;
      if (depth >= MAX_DEPTH) refuseCar(`directories ${depth + 1} deep`, `at most ${MAX_DEPTH}`);
      const names = new Set<string>();
      const inside: typeof waiting = [];
      for await (const { name, hash } of this.#listed(node)) {
        checkName(name, { names, path });
        inside.push({ path: `${path}/${name}`, cid: hash, depth: depth + 1 });
      }
      waiting.push(...inside.reverse());
    }
  }

  /** The names of a directory; one that is split over nodes has them behind the digits of their places. */
  async *#listed(node: Node): AsyncGenerator<{ name: string; hash: CID }> {
    const waiting = [node];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const isShard = next.unixFs.type === UnixFsType.SHARD;
      const digits = isShard ? Math.max(0, next.unixFs.fanout - 1).toString(16).length : 0;
      const shards: Node[] = [];
      for (const { Name = '', Hash } of next.links) {
        if (isShard && Name.length === digits) shards.push(await this.#readShard(Hash));
        else yield { name: Name.slice(digits), hash: Hash };
      }
      waiting.push(...shards.reverse());
      if (waiting.length > this.#visitsLeft) endless();
    }
  }

  async #readShard(cid: CID): Promise<Node> {
    const node = await this.#read(cid);
    if (node.unixFs.type !== UnixFsType.SHARD) refuseCar(`'${cid}' as a part of a directory`, 'a shard');
    return node;
  }

  async #read(cid: CID): Promise<Node> {
    this.#visitsLeft -= 1;
    if (this.#visitsLeft < 0) endless();
    const { code, digest } = cid.multihash;
    const block = code === IDENTITY ? digest : await this.#getBlock(cid);
    if (cid.code === RAW) return { unixFs: { ...RAW_LEAF, data: block, fileBytes: block.byteLength }, links: [] };
    if (cid.code !== DAG_PB) refuseCar(`the block '${cid}' of codec ${cid.code}`, 'UnixFS');
    const { Data, Links } = decoded(block, cid);
    return { unixFs: readNode(Data, cid), links: Links };
  }
}

function endless(): never {
  return refuseCar('a tree that links to the same nodes without end', 'links that lead to bytes');
}

const RAW_LEAF = { type: UnixFsType.RAW, fanout: 0 };

function isFile({ unixFs: { type } }: Node): boolean {
  return type === UnixFsType.FILE || type === UnixFsType.RAW;
}

function isDirectory({ unixFs: { type } }: Node): boolean {
  return type === UnixFsType.DIRECTORY || type === UnixFsType.SHARD;
}

function checkName(name: string, { names, path }: { names: Set<string>; path: string }): void {
  const isBad = name === '' || name === '.' || name === '..' || /[/\0]/.test(name);
  if (isBad || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    refuseCar(`the name ${JSON.stringify(name.slice(0, MAX_NAME_BYTES))} in '${path}'`, 'plain names');
  }
  if (names.has(name)) refuseCar(`the name ${JSON.stringify(name)} twice in '${path}'`, 'each once');
  names.add(name);
}

function decoded(block: Uint8Array, cid: CID): PBNode {
  try {
    return decode(block);
  } catch (cause) {
    return refuseCar(`the block '${cid}' that is no dag-pb`, 'UnixFS', cause);
  }
}

function readNode(data: Uint8Array | undefined, cid: CID): UnixFsNode {
  if (data === undefined) return refuseCar(`the block '${cid}' without data`, 'UnixFS');
  try {
    return readUnixFs(data);
  } catch (cause) {
    return refuseCar(`the block '${cid}' that is no UnixFS`, 'UnixFS', cause);
  }
}
