import { COPY, encodeRecord, type SessionRecord } from '@vmlet/guest-protocol/session';

/** Bytes of a file's permissions before its path. */
const MODE_SIZE = 2;
const PERMISSIONS = 0o777;

/** What was copied. */
export interface Copied {
  files: number;
  folders: number;
  links: number;
  bytes: number;
}

/** A record that tells of a file, a folder or a link; its path is below what is copied, "" for itself. */
export interface Entry {
  type: 'file' | 'folder' | 'link';
  path: string;
  /** Permissions only: no bit that gives the rights of another. */
  mode: number;
  target: string;
}

const TYPES = { folder: COPY.FOLDER, file: COPY.FILE, link: COPY.LINK } as const;

/** The record of an entry. */
export function encodeEntry({ type, path, mode, target }: Entry): Buffer {
  const head = Buffer.alloc(MODE_SIZE);
  head.writeUInt16BE(mode & PERMISSIONS);
  return encodeRecord(TYPES[type], Buffer.concat([head, Buffer.from(type === 'link' ? `${path}\0${target}` : path)]));
}

/** The entry of a record; undefined if it is another kind of record, or none at all. */
export function decodeEntry({ type, payload }: SessionRecord): Entry | undefined {
  const kind = (['folder', 'file', 'link'] as const).find((one) => TYPES[one] === type);
  if (kind === undefined || payload.length < MODE_SIZE) return undefined;
  const text = decodeText(payload.subarray(MODE_SIZE));
  if (text === undefined) return undefined;
  const [path = '', target = '', ...more] = text.split('\0');
  if (more.length > 0 || text.includes('\0') !== (kind === 'link')) return undefined;
  return { type: kind, path, target, mode: payload.readUInt16BE() & PERMISSIONS };
}

/** What a FAILED record says: an errno, and of what. */
export function decodeFailure({ payload }: SessionRecord): { errno: number; path: string } {
  return { errno: payload[0] ?? 0, path: payload.subarray(1).toString('utf8') };
}

/** Names that are no UTF-8 would get another name on the way. */
function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
