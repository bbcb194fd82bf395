import { refused } from '../errors.ts';

/** Everything in a tar comes in blocks of this size. */
export const BLOCK_SIZE = 512;

/** One header block, as it stands there: extended headers are another matter. */
export interface TarHeader {
  name: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  type: string;
  linkname: string;
  devmajor: number;
  devminor: number;
  /** Of GNU tar's own form of a sparse file: pieces, whether a block of more follows, and the size with holes. */
  sparse?: { pieces: SparsePiece[]; hasMore: boolean; realSize: number } | undefined;
}

/** Where data stands in a file; all between is zeros. */
export interface SparsePiece {
  offset: number;
  bytes: number;
}

const USTAR = 'ustar\0';
const GNU = 'ustar ';
/** Of a sparse file of GNU tar: pieces of 24 bytes, four in the header and 21 in each block of more. */
const SPARSE_PIECE_SIZE = 24;

/**
 * Reads a header block. Names are latin1, so that each byte is kept, whatever encoding it is meant in.
 * @returns undefined for a block of zeros, which ends an archive
 * @throws ImportError for what is no header
 */
export function parseHeader(block: Buffer, operand: string): TarHeader | undefined {
  const sum = checksum(block);
  if (sum.unsigned === SPACES && block.every((byte) => byte === 0)) return undefined;
  const wanted = octal(block, 148, 8);
  if (wanted !== sum.unsigned && wanted !== sum.signed)
    throw refused(operand, 'a header with a wrong checksum', 'a tar archive, whole and not damaged');
  const number = (at: number, length: number, what: string) => numberAt(block, at, length, { operand, what });
  const magic = block.toString('latin1', 257, 263);
  const name = text(block, 0, 100);
  const prefix = magic === USTAR ? text(block, 345, 155) : '';
  const type = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0);
  const isDevice = type === '3' || type === '4';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: number(100, 8, 'mode') & 0o7777,
    uid: number(108, 8, 'owner'),
    gid: number(116, 8, 'group'),
    size: number(124, 12, 'size'),
    mtime: timeAt(block),
    type,
    linkname: text(block, 157, 100),
    devmajor: isDevice ? number(329, 8, 'device') : 0,
    devminor: isDevice ? number(337, 8, 'device') : 0,
    sparse:
      type === 'S' && magic === GNU
        ? { pieces: sparsePieces(block, 386, 4), hasMore: block[482] === 1, realSize: number(483, 12, 'size') }
        : undefined,
  };
}

/** The pieces in a block that follows the header of a sparse file. */
export function parseMoreSparse(block: Buffer): { pieces: SparsePiece[]; hasMore: boolean } {
  return { pieces: sparsePieces(block, 0, 21), hasMore: block[504] === 1 };
}

function sparsePieces(block: Buffer, start: number, count: number): SparsePiece[] {
  const pieces: SparsePiece[] = [];
  for (let index = 0; index < count; index++) {
    const at = start + index * SPARSE_PIECE_SIZE;
    if (block[at] === 0) break;
    const operands = { operand: 'a sparse file', what: 'piece' };
    pieces.push({ offset: numberAt(block, at, 12, operands), bytes: numberAt(block, at + 12, 12, operands) });
  }
  return pieces;
}

/** Eight spaces stand for the sum itself. */
const SPACES = 8 * 32;

function checksum(block: Buffer): { unsigned: number; signed: number } {
  let unsigned = SPACES;
  let signed = SPACES;
  for (let at = 0; at < BLOCK_SIZE; at++) {
    if (at >= 148 && at < 156) continue;
    const byte = block[at] ?? 0;
    unsigned += byte;
    // Some old programs summed signed characters.
    signed += byte < 128 ? byte : byte - 256;
  }
  return { unsigned, signed };
}

function text(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 || end > at + length ? at + length : end);
}

function octal(block: Buffer, at: number, length: number): number {
  const digits = text(block, at, length).trim();
  return digits === '' ? 0 : /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

interface NumberOperands {
  operand: string;
  what: string;
}

/** Octal digits, or, where the first bit is set, a binary number. */
function numberAt(block: Buffer, at: number, length: number, { operand, what }: NumberOperands): number {
  const first = block[at] ?? 0;
  let value = first & 0x80 ? first & 0x7f : octal(block, at, length);
  if (first & 0x80) for (let next = at + 1; next < at + length; next++) value = value * 256 + (block[next] ?? 0);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw refused(operand, `a ${what} that is no number, or too large`, 'a tar archive, whole and not damaged');
}

/** Before 1970 is 1970: no filesystem here needs to know better. */
function timeAt(block: Buffer): number {
  if (((block[136] ?? 0) & 0xc0) === 0xc0) return 0;
  return numberAt(block, 136, 12, { operand: 'a tar', what: 'time' });
}
