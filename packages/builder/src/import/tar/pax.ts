import { quoted, refused } from '../errors.ts';
import type { SparsePiece } from './header.ts';

/** What an extended header says, as far as it is used. Members that it does not name are undefined. */
export interface PaxRecords {
  path?: string;
  linkpath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  /** Name, as latin1, to value. */
  xattrs: Map<string, Buffer>;
  sparse: PaxSparse;
}

/** The three forms in which GNU tar tells of a sparse file: a pair of records for each piece, a list, or in the data. */
interface PaxSparse {
  isInData: boolean;
  name?: string;
  realSize?: number;
  pieces?: SparsePiece[];
}

const XATTR = 'SCHILY.xattr.';

/**
 * Reads the records of an extended header, each "LENGTH KEY=VALUE\n" in bytes. A later one of the same key counts.
 * @throws ImportError for what is no such thing
 */
export function parsePax(data: Buffer, operand: string): PaxRecords {
  const records: PaxRecords = { xattrs: new Map(), sparse: { isInData: false } };
  const broken = () => refused(operand, 'an extended header that is broken', 'a tar archive, whole and not damaged');
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const digits = space < 0 ? '' : data.toString('latin1', at, space);
    const end = at + (/^[1-9]\d{0,7}$/.test(digits) ? Number(digits) : 0);
    const equals = data.indexOf(0x3d, space);
    if (end > data.length || data[end - 1] !== 0x0a || equals < 0 || equals >= end || equals <= space) throw broken();
    take(records, data.toString('latin1', space + 1, equals), { value: data.subarray(equals + 1, end - 1), operand });
    at = end;
  }
  return records;
}

function take(records: PaxRecords, key: string, { value, operand }: { value: Buffer; operand: string }): void {
  const number = () => {
    const digits = value.toString('latin1');
    if (/^\d{1,15}$/.test(digits)) return Number(digits);
    throw refused(operand, `${quoted(key)} with the value ${quoted(digits)}`, 'a whole number');
  };
  if (key.startsWith(XATTR)) {
    // A copy: the header's buffer may be a part of a much larger one.
    records.xattrs.set(key.slice(XATTR.length), Buffer.from(value));
    return;
  }
  const { sparse } = records;
  switch (key) {
    case 'path':
    case 'linkpath':
      records[key] = value.toString('latin1');
      break;
    case 'size':
    case 'uid':
    case 'gid':
      records[key] = number();
      break;
    case 'mtime':
      records.mtime = timeOf(value, operand);
      break;
    case 'GNU.sparse.major':
      sparse.isInData = number() === 1;
      break;
    case 'GNU.sparse.name':
      sparse.name = value.toString('latin1');
      break;
    case 'GNU.sparse.realsize':
    case 'GNU.sparse.size':
      sparse.realSize = number();
      break;
    case 'GNU.sparse.offset':
      sparse.pieces ??= [];
      sparse.pieces.push({ offset: number(), bytes: 0 });
      break;
    case 'GNU.sparse.numbytes': {
      const last = sparse.pieces?.at(-1);
      if (last !== undefined) last.bytes = number();
      break;
    }
    case 'GNU.sparse.map':
      sparse.pieces = piecesOf(value.toString('latin1').split(','), operand);
      break;
  }
}

/** Numbers in turn, offset and length, as pieces. @throws ImportError */
export function piecesOf(numbers: readonly string[], operand: string): SparsePiece[] {
  const values = numbers.map((digits) => (/^\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN));
  if (values.length % 2 !== 0 || values.some(Number.isNaN))
    throw refused(operand, 'a sparse file whose pieces are no numbers', 'a tar archive, whole and not damaged');
  const pieces: SparsePiece[] = [];
  for (let at = 0; at < values.length; at += 2) pieces.push({ offset: values[at] ?? 0, bytes: values[at + 1] ?? 0 });
  return pieces;
}

/** Seconds, whole ones: a fraction is left out, and so is what was before 1970. */
function timeOf(value: Buffer, operand: string): number {
  const found = /^(-?)(\d{1,15})(\.\d*)?$/.exec(value.toString('latin1'));
  if (found === null) throw refused(operand, `the time ${quoted(value.toString('latin1'))}`, 'seconds since 1970');
  return found[1] === '-' ? 0 : Number(found[2]);
}
