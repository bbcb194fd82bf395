import { quoted, refused } from '../errors.ts';
import { IMPORT_LIMITS, type ImportLimits } from '../limits.ts';
import { ByteReader } from './byte-reader.ts';
import { BLOCK_SIZE, parseHeader, type TarHeader } from './header.ts';
import { type PaxRecords, parsePax } from './pax.ts';
import { checkPieces, type SparseLayout, sparseInData, sparseOfHeader, withHoles } from './sparse.ts';

/** What an entry of a tar is. */
export type TarKind = 'file' | 'folder' | 'link' | 'symlink' | 'character' | 'block' | 'fifo';

/** One entry of a tar, its names in latin1: a character a byte. */
export interface TarEntry {
  kind: TarKind;
  name: string;
  mode: number;
  uid: number;
  gid: number;
  /** Of its content, holes counted. */
  size: number;
  /** Whole seconds since 1970. */
  mtime: number;
  /** Of a link or symlink. */
  linkname: string;
  devmajor: number;
  devminor: number;
  xattrs: ReadonlyMap<string, Buffer>;
  /** Where its content begins in the archive, and how long it is there: with `size`, when nothing of it is a hole. */
  offset: number;
  storedBytes: number;
}

const KINDS: Readonly<Record<string, TarKind>> = {
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'folder',
  '6': 'fifo',
};

/** What stands before a header and belongs to it. */
interface Before {
  name?: string;
  linkname?: string;
  pax?: PaxRecords;
}

/**
 * Reads a tar (POSIX, its forerunners, GNU's and star's extensions), one entry at a time. Nothing is held but one header
 * and one chunk. The archive may be anybody's: all lengths are bounded, and what is broken is an ImportError.
 */
export class TarReader {
  readonly #bytes: ByteReader;
  readonly #operand: string;
  readonly #limits: ImportLimits;
  /** Of the present entry: content not read yet, with what fills its last block. */
  #left = 0;
  #padding = 0;
  #layout: SparseLayout | undefined;
  #globals: PaxRecords | undefined;
  #isFirst = true;

  /** @param options.operand how messages name the archive */
  constructor(source: AsyncIterable<Buffer>, options: { operand: string; limits?: ImportLimits }) {
    this.#bytes = new ByteReader(source);
    this.#operand = options.operand;
    this.#limits = options.limits ?? IMPORT_LIMITS;
  }

  /** The next entry, whatever of the one before was not read; undefined at the archive's end. @throws ImportError */
  async next(): Promise<TarEntry | undefined> {
    await this.#skipRest();
    const before: Before = {};
    for (;;) {
      const header = await this.#header();
      if (header === undefined) return undefined;
      if (!(await this.#takeBefore(header, before))) return await this.#entryOf(header, before);
    }
  }

  /** The content of the entry that `next` gave last, in pieces; holes are zeros. Read once. @throws ImportError */
  async *content(): AsyncGenerator<Buffer> {
    const layout = this.#layout;
    const stored = this.#stored();
    if (layout === undefined) yield* stored;
    else yield* withHoles(stored, layout);
  }

  /** Reads to the end of the stream, so that a digest of all of it can be told. */
  async drain(): Promise<void> {
    while ((await this.#bytes.some(BLOCK_SIZE * BLOCK_SIZE)).length > 0);
  }

  /** Ends the stream. */
  async close(): Promise<void> {
    await this.#bytes.close();
  }

  async *#stored(): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const chunk = await this.#bytes.some(this.#left);
      if (chunk.length === 0) throw this.#cut();
      this.#left -= chunk.length;
      yield chunk;
    }
  }

  async #skipRest(): Promise<void> {
    if (!(await this.#bytes.skip(this.#left + this.#padding))) throw this.#cut();
    this.#left = 0;
    this.#padding = 0;
    this.#layout = undefined;
  }

  async #header(): Promise<TarHeader | undefined> {
    const block = await this.#bytes.take(BLOCK_SIZE);
    if (block.length === 0 && !this.#isFirst) return undefined;
    this.#isFirst = false;
    if (block.length < BLOCK_SIZE) throw this.#cut();
    return parseHeader(block, this.#operand);
  }

  /** Takes in what only stands before an entry. @returns false for an entry itself */
  async #takeBefore(header: TarHeader, before: Before): Promise<boolean> {
    switch (header.type) {
      case 'x':
        before.pax = parsePax(await this.#whole(header), this.#operand);
        return true;
      case 'g':
        this.#globals = parsePax(await this.#whole(header), this.#operand);
        return true;
      case 'L':
        before.name = textOf(await this.#whole(header));
        return true;
      case 'K':
        before.linkname = textOf(await this.#whole(header));
        return true;
      default:
        return false;
    }
  }

  async #whole({ size }: TarHeader): Promise<Buffer> {
    const most = this.#limits.headerBytes;
    if (size > most) throw refused(this.#operand, `a header of ${size} bytes`, `at most ${most}`);
    const data = await this.#bytes.take(size);
    const padding = paddingOf(size);
    if (data.length < size || !(await this.#bytes.skip(padding))) throw this.#cut();
    return data;
  }

  async #entryOf(header: TarHeader, before: Before): Promise<TarEntry> {
    const { pax } = before;
    const globals = this.#globals;
    const name = pax?.sparse.name ?? pax?.path ?? before.name ?? globals?.path ?? header.name;
    const kind = kindOf(header, name);
    if (kind === undefined) {
      const found = `${quoted(name)} is of the type ${quoted(header.type)}`;
      throw refused(this.#operand, found, 'a file, folder, link, device or pipe');
    }
    const storedSize = pax?.size ?? globals?.size ?? header.size;
    // All but files have none; some programs give a folder or a link the size that it had on their disk.
    this.#left = kind === 'file' ? storedSize : 0;
    this.#padding = paddingOf(this.#left);
    if (kind === 'file') await this.#takeLayout(header, pax);
    return {
      ...{ kind, name, mode: header.mode, devmajor: header.devmajor, devminor: header.devminor },
      uid: pax?.uid ?? globals?.uid ?? header.uid,
      gid: pax?.gid ?? globals?.gid ?? header.gid,
      mtime: pax?.mtime ?? globals?.mtime ?? header.mtime,
      linkname: pax?.linkpath ?? before.linkname ?? globals?.linkpath ?? header.linkname,
      xattrs: this.#xattrsOf(pax, name),
      size: this.#layout?.realSize ?? this.#left,
      ...{ offset: this.#bytes.position, storedBytes: this.#left },
    };
  }

  #xattrsOf(pax: PaxRecords | undefined, name: string): ReadonlyMap<string, Buffer> {
    const xattrs = pax?.xattrs ?? new Map<string, Buffer>();
    let bytes = 0;
    for (const [key, value] of xattrs) bytes += key.length + value.length;
    if (bytes <= this.#limits.xattrBytes) return xattrs;
    const found = `${quoted(name)} has ${bytes} bytes of extended attributes`;
    throw refused(this.#operand, found, `at most ${this.#limits.xattrBytes}`);
  }

  async #takeLayout(header: TarHeader, pax: PaxRecords | undefined): Promise<void> {
    const reader = { operand: this.#operand, block: () => this.#sparseBlock() };
    if (header.sparse !== undefined) this.#layout = await sparseOfHeader(header.sparse, reader);
    else if (pax?.sparse.isInData) {
      const { realSize = 0 } = pax.sparse;
      this.#layout = await sparseInData(realSize, {
        operand: this.#operand,
        block: async () => {
          this.#left -= BLOCK_SIZE;
          return await this.#sparseBlock();
        },
      });
    } else if (pax?.sparse.pieces !== undefined) {
      this.#layout = { pieces: pax.sparse.pieces, realSize: pax.sparse.realSize ?? 0 };
    }
    if (this.#layout !== undefined) checkPieces(this.#layout, { storedBytes: this.#left, operand: this.#operand });
  }

  async #sparseBlock(): Promise<Buffer> {
    const block = await this.#bytes.take(BLOCK_SIZE);
    if (block.length < BLOCK_SIZE || this.#left < 0) throw this.#cut();
    return block;
  }

  #cut() {
    return refused(this.#operand, 'it ends in the middle', 'a tar archive, whole and not damaged');
  }
}

/** Before POSIX a slash at the end of its name told a folder. */
function kindOf({ type }: TarHeader, name: string): TarKind | undefined {
  return type === '0' && name.endsWith('/') ? 'folder' : KINDS[type];
}

/** A long name, which ends with a zero. */
function textOf(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString('latin1', 0, end < 0 ? data.length : end);
}

/** What fills the last block of so many bytes. */
export function paddingOf(bytes: number): number {
  return (BLOCK_SIZE - (bytes % BLOCK_SIZE)) % BLOCK_SIZE;
}
