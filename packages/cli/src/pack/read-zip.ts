import { posix } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { CliError } from '../errors.ts';
import { PACK_LIMITS } from './limits.ts';
import type { ZipEntry } from './zip.ts';

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const CENTRAL_SIGNATURE = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const METHODS = new Set([0, 8]);
const FILE_TYPE = 0o170000;
const REGULAR = 0o100000;
const LINK = 0o120000;
/** Permissions of a link are not looked at. */
const LINK_MODE = 0o120777;
const MAX_LINK_BYTES = 1024;
/** In a 32-bit place: the value stands in a Zip64 record instead. */
const ZIP64 = 0xffffffff;

/**
 * Reads the members of a zip of packages as they are, without unpacking them, to put them into another zip.
 * Only what an installer makes is taken: regular files with relative paths, and links that stay inside.
 * @param cachePath named in the error, for it may be that file which is damaged
 * @throws CliError `ARCHIVE_UNREADABLE`
 */
export function readZipEntries(bytes: Buffer<ArrayBuffer>, { cachePath }: { cachePath: string }): ZipEntry[] {
  const refuse: Refuse = (found) => new CliError('ARCHIVE_UNREADABLE', { operands: { found, path: cachePath } });
  const end = findEnd(bytes, refuse);
  const count = bytes.readUInt16LE(end + 10);
  if (count > PACK_LIMITS.maxFiles || count === 0xffff) throw refuse(`${count} files or more`);
  const entries: ZipEntry[] = [];
  let unpackedBytes = 0;
  let offset = bytes.readUInt32LE(end + 16);
  for (let index = 0; index < count; index++) {
    const member = readMember(bytes, offset, refuse);
    offset = member.nextOffset;
    unpackedBytes += member.entry.sizeBytes;
    if (unpackedBytes > PACK_LIMITS.maxUnpackedBytes) throw refuse(`more than ${PACK_LIMITS.maxUnpackedBytes} bytes`);
    if (!member.entry.path.endsWith('/')) entries.push(member.entry);
  }
  return entries;
}

type Refuse = (found: string) => CliError;

function findEnd(bytes: Buffer<ArrayBuffer>, refuse: Refuse): number {
  const first = Math.max(0, bytes.length - END_BYTES - MAX_COMMENT_BYTES);
  for (let offset = bytes.length - END_BYTES; offset >= first; offset--) {
    if (bytes.readUInt32LE(offset) === END_SIGNATURE) return offset;
  }
  throw refuse(`${bytes.length} bytes without the end of a zip`);
}

function readMember(
  bytes: Buffer<ArrayBuffer>,
  offset: number,
  refuse: Refuse,
): { entry: ZipEntry; nextOffset: number } {
  if (offset + CENTRAL_BYTES > bytes.length || bytes.readUInt32LE(offset) !== CENTRAL_SIGNATURE) {
    throw refuse(`no member at byte ${offset}`);
  }
  const nameBytes = bytes.readUInt16LE(offset + 28);
  const nextOffset =
    offset + CENTRAL_BYTES + nameBytes + bytes.readUInt16LE(offset + 30) + bytes.readUInt16LE(offset + 32);
  if (nextOffset > bytes.length) throw refuse('a member that is cut short');
  const path = bytes.toString('utf8', offset + CENTRAL_BYTES, offset + CENTRAL_BYTES + nameBytes);
  const method = bytes.readUInt16LE(offset + 10);
  const crc = bytes.readUInt32LE(offset + 16);
  const packedBytes = bytes.readUInt32LE(offset + 20);
  const sizeBytes = bytes.readUInt32LE(offset + 24);
  const localOffset = bytes.readUInt32LE(offset + 42);
  const mode = bytes.readUInt32LE(offset + 38) >>> 16;
  const type = mode & FILE_TYPE;
  if (!isSafePath(path)) throw refuse(`the path "${path}"`);
  if (!METHODS.has(method) || (bytes.readUInt16LE(offset + 8) & 1) === 1) throw refuse(`"${path}" packed another way`);
  if (type !== 0 && type !== REGULAR && type !== LINK && !path.endsWith('/'))
    throw refuse(`"${path}" of file type ${type.toString(8)}`);
  if ([packedBytes, sizeBytes, localOffset].includes(ZIP64)) throw refuse(`"${path}" of 4 GiB or more`);
  const packed = readPacked(bytes, { localOffset, packedBytes, path, refuse });
  if (type === LINK) checkLink(path, { method, packed, refuse });
  const permissions = (mode & 0o100) === 0 ? 0o644 : 0o755;
  const entryMode = type === LINK ? LINK_MODE : REGULAR | permissions;
  return { entry: { path, mode: entryMode, crc, sizeBytes, method, packed }, nextOffset };
}

function readPacked(
  bytes: Buffer<ArrayBuffer>,
  {
    localOffset,
    packedBytes,
    path,
    refuse,
  }: { localOffset: number; packedBytes: number; path: string; refuse: Refuse },
): Uint8Array<ArrayBuffer> {
  if (localOffset + LOCAL_BYTES > bytes.length || bytes.readUInt32LE(localOffset) !== LOCAL_SIGNATURE) {
    throw refuse(`no bytes of "${path}"`);
  }
  const start = localOffset + LOCAL_BYTES + bytes.readUInt16LE(localOffset + 26) + bytes.readUInt16LE(localOffset + 28);
  if (start + packedBytes > bytes.length) throw refuse(`"${path}" cut short`);
  return bytes.subarray(start, start + packedBytes);
}

/** A link's bytes are its target. Programs get them as links, so they must not lead out of the code. */
function checkLink(
  path: string,
  { method, packed, refuse }: { method: number; packed: Uint8Array; refuse: Refuse },
): void {
  const bytes = method === 0 ? packed : inflated(packed);
  const target = bytes === undefined || bytes.length > MAX_LINK_BYTES ? '' : Buffer.from(bytes).toString('utf8');
  const leadsTo = posix.join(posix.dirname(path), target);
  if (target === '' || target.startsWith('/') || target.includes('\0') || /^\.\.(?:\/|$)/.test(leadsTo)) {
    throw refuse(`the link "${path}" to "${target}"`);
  }
}

/** What a link's bytes are unpacked; undefined where they are too many, or damaged. */
function inflated(packed: Uint8Array): Uint8Array | undefined {
  if (packed.length > MAX_LINK_BYTES) return undefined;
  try {
    return inflateRawSync(packed, { maxOutputLength: MAX_LINK_BYTES });
  } catch {
    return undefined;
  }
}

function isSafePath(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.includes('\\') || path.includes('\0')) return false;
  return !path
    .replace(/\/$/, '')
    .split('/')
    .some((part) => part === '' || part === '.' || part === '..');
}
