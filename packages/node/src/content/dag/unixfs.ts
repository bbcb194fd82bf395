/** What of a UnixFS node is needed to read a tree: its type, the bytes in it, how long its file says it is. */
export interface UnixFsNode {
  readonly type: number;
  readonly data: Uint8Array;
  readonly fileBytes: number;
  /** Of a directory that is split over nodes: how many places one has. */
  readonly fanout: number;
}

/** The types of UnixFS. */
export const UnixFsType = { RAW: 0, DIRECTORY: 1, FILE: 2, METADATA: 3, SYMLINK: 4, SHARD: 5 } as const;

const FIELD = { TYPE: 1, DATA: 2, FILE_SIZE: 3, FANOUT: 6 };
const EMPTY: Uint8Array = new Uint8Array();
const WIRE = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 };

/**
 * Reads the protobuf message `Data` of UnixFS 1. Fields that are not needed are skipped.
 * @throws RangeError if it is no such message
 */
export function readUnixFs(bytes: Uint8Array): UnixFsNode {
  const node = { type: Number.NaN, data: EMPTY, fileBytes: 0, fanout: 0 };
  let offset = 0;
  const varint = () => {
    const read = readVarint(bytes, offset);
    if (read === undefined) throw new RangeError('a number that does not end');
    offset = read.end;
    return read.value;
  };
  while (offset < bytes.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === WIRE.VARINT) {
      const value = varint();
      if (field === FIELD.TYPE) node.type = value;
      if (field === FIELD.FILE_SIZE) node.fileBytes = value;
      if (field === FIELD.FANOUT) node.fanout = value;
      continue;
    }
    const lengths = new Map([
      [WIRE.FIXED64, 8],
      [WIRE.FIXED32, 4],
    ]);
    const length = wire === WIRE.BYTES ? varint() : lengths.get(wire);
    if (length === undefined || offset + length > bytes.length) throw new RangeError('a field that does not end');
    if (field === FIELD.DATA && wire === WIRE.BYTES) node.data = bytes.subarray(offset, offset + length);
    offset += length;
  }
  if (!Number.isInteger(node.type)) throw new RangeError('no type');
  return node;
}

/** More could not be told apart in a number. */
const MAX_VARINT_BYTES = 7;

/** An unsigned number of protobuf and of CARs; undefined if it does not end here, or is too large to be one of ours. */
export function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
    const byte = bytes[start + index];
    if (byte === undefined) return undefined;
    value += (byte % 0x80) * 0x80 ** index;
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  return undefined;
}
