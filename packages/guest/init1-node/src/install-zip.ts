/** Zip archives, as far as the host's own writer and reader of them go: no encryption, no volumes, no Zip64. */
import { once } from 'events';
import type { Writable } from 'stream';
import { inflateRawSync } from 'zlib';

const LOCAL = { signature: 0x04034b50, bytes: 30 };
const CENTRAL = { signature: 0x02014b50, bytes: 46 };
const END = { signature: 0x06054b50, bytes: 22 };
/** Made by a Unix, so that modes count. */
const MADE_BY = (3 << 8) | 20;
const VERSION = 20;
const UTF8 = 0x800;
/** 1 January 1980: the same packages make the same bytes, whenever they are made. */
const DATE = (1 << 5) | 1;

/** One file or link of an archive; a link's bytes are its target. */
export interface ZipMember {
  path: string;
  mode: number;
  bytes: Buffer;
}

/** Reads all regular files. @throws Error for what is damaged, and for paths that lead elsewhere */
export function readZip(archive: Buffer): Array<{ path: string; bytes: Buffer }> {
  const end = archive.length - END.bytes;
  if (end < 0 || archive.readUInt32LE(end) !== END.signature) throw new Error('it has no end');
  const members: Array<{ path: string; bytes: Buffer }> = [];
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    if (archive.readUInt32LE(at) !== CENTRAL.signature) throw new Error(`it has no member at byte ${at}`);
    const method = archive.readUInt16LE(at + 10);
    const nameBytes = archive.readUInt16LE(at + 28);
    const path = archive.toString('utf8', at + CENTRAL.bytes, at + CENTRAL.bytes + nameBytes);
    if (path.startsWith('/') || /\\|\0|(^|\/)\.\.(\/|$)/.test(path)) throw new Error(`"${path}" is not inside`);
    const local = archive.readUInt32LE(at + 42);
    const start = local + LOCAL.bytes + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const packed = archive.slice(start, start + archive.readUInt32LE(at + 20));
    if (!path.endsWith('/')) members.push({ path, bytes: method === 0 ? packed : inflateRawSync(packed) });
    at += CENTRAL.bytes + nameBytes + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  return members;
}

/** Writes members as they are: compressing costs a machine more than the host, which does it. */
export class ZipWriter {
  readonly #out: Writable;
  readonly #central: Buffer[] = [];
  #offset = 0;

  constructor(out: Writable) {
    this.#out = out;
  }

  async add({ path, mode, bytes }: ZipMember): Promise<void> {
    const name = Buffer.from(path);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(VERSION, 0);
    common.writeUInt16LE(UTF8, 2);
    common.writeUInt16LE(DATE, 8);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    const central = Buffer.alloc(CENTRAL.bytes);
    central.writeUInt32LE(CENTRAL.signature, 0);
    central.writeUInt16LE(MADE_BY, 4);
    common.copy(central, 6);
    central.writeUInt32LE(mode * 0x10000, 38);
    central.writeUInt32LE(this.#offset, 42);
    this.#central.push(central, name);
    const signature = Buffer.alloc(4);
    signature.writeUInt32LE(LOCAL.signature, 0);
    await this.#write(Buffer.concat([signature, common, name, bytes]));
  }

  async end(): Promise<void> {
    const central = Buffer.concat(this.#central);
    const end = Buffer.alloc(END.bytes);
    end.writeUInt32LE(END.signature, 0);
    end.writeUInt16LE(this.#central.length / 2, 8);
    end.writeUInt16LE(this.#central.length / 2, 10);
    end.writeUInt32LE(central.length, 12);
    end.writeUInt32LE(this.#offset, 16);
    await this.#write(Buffer.concat([central, end]));
    this.#out.end();
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#offset += bytes.length;
    if (!this.#out.write(bytes)) await once(this.#out, 'drain');
  }
}

const TABLE = Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** Node's own where it has one, which is a hundred times as fast. */
function crc32(bytes: Buffer): number {
  const { crc32: own } = require('zlib') as { crc32?: (bytes: Buffer) => number };
  if (own !== undefined) return own(bytes);
  let value = 0xffffffff;
  for (const byte of bytes) value = (TABLE[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
