import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { deflateSync, Zip, type ZipInputFile } from 'fflate';
import type { Upload } from '../client/multipart.ts';
import { CliError } from '../errors.ts';
import { formatBytes } from '../terminal-text.ts';
import { PACK_LIMITS, type PackLimits } from './limits.ts';
import { largestAsText } from './sizes.ts';
import { unreadable } from './unreadable.ts';
import { compareBytes, type SourceFile } from './walk.ts';

/** A member of a zip, compressed. */
export interface ZipEntry {
  readonly path: string;
  /** File type and permissions as Unix has them. */
  readonly mode: number;
  readonly crc: number;
  readonly sizeBytes: number;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  readonly packed: Uint8Array<ArrayBuffer>;
}

export interface PackOptions {
  /** Named in errors. */
  folder: string;
  limits?: PackLimits;
  signal: AbortSignal;
}

const REGULAR = 0o100644;
const EXECUTABLE = 0o100755;
const LINK = 0o120777;
const STORED = 0;
const DEFLATED = 8;
/** `os` of a member whose attributes are those of Unix. */
const UNIX = 3;
/** By local time, as the format has it: the same digits in every time zone. */
const EARLIEST = new Date(1980, 0, 1);

/**
 * Compresses files to members of a zip, refusing early what would be too long to upload.
 * @throws CliError `FOLDER_CHANGED`, `FOLDER_UNREADABLE`, `FOLDER_TOO_LARGE`
 */
export async function packFiles(files: readonly SourceFile[], options: PackOptions): Promise<ZipEntry[]> {
  const { folder, limits = PACK_LIMITS, signal } = options;
  const entries: ZipEntry[] = [];
  let packedBytes = 0;
  for (const file of files) {
    signal.throwIfAborted();
    const entry = await pack(file);
    packedBytes += entry.packed.length;
    if (packedBytes > limits.maxPackedBytes) throw tooLarge(folder, { limits, largest: largestAsText(files) });
    entries.push(entry);
  }
  return entries;
}

/**
 * Makes a zip of members whose paths differ. The same members make the same bytes on every machine and at any time:
 * order, times and modes are fixed, and the compressor is this package's own, not the system's.
 * @param name a file name for the zip
 * @throws CliError `FOLDER_TOO_LARGE`
 */
export function zipEntries(entries: readonly ZipEntry[], name: string, options: Omit<PackOptions, 'signal'>): Upload {
  const { folder, limits = PACK_LIMITS } = options;
  const chunks: Uint8Array[] = [];
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    chunks.push(chunk);
  });
  for (const entry of entries.toSorted((a, b) => compareBytes(a.path, b.path))) addMember(zip, entry);
  zip.end();
  const bytes = Buffer.concat(chunks);
  if (bytes.length > limits.maxPackedBytes) {
    throw tooLarge(folder, { limits, largest: largestAsText(entries) });
  }
  return {
    fileHash: createHash('sha256').update(bytes).digest('hex'),
    sizeBytes: bytes.length,
    name,
    async *open() {
      yield bytes;
    },
  };
}

function addMember(zip: Zip, { path, mode, crc, sizeBytes, method, packed }: ZipEntry): void {
  const member: ZipInputFile = { filename: path, size: sizeBytes, crc, compression: method };
  Object.assign(member, { attrs: mode << 16, os: UNIX, mtime: EARLIEST });
  zip.add(member);
  member.ondata?.(null, packed, true);
}

function tooLarge(path: string, { limits, largest }: { limits: PackLimits; largest: string }): CliError {
  const limit = formatBytes(limits.maxPackedBytes);
  return new CliError('FOLDER_TOO_LARGE', {
    operands: { path, found: `more than ${limit} as a zip`, limit },
    detail: largest,
  });
}

/** The same member, compressed, where it came as it is. */
export function compressed(entry: ZipEntry): ZipEntry {
  if (entry.method !== STORED) return entry;
  return compress(entry.packed, entry);
}

/** A member of a zip that is made here. */
export function fileEntry(path: string, bytes: Buffer<ArrayBuffer>): ZipEntry {
  return compress(bytes, { path, mode: REGULAR });
}

async function pack(file: SourceFile): Promise<ZipEntry> {
  const { path, linkTarget, isExecutable } = file;
  if (linkTarget !== undefined) return compress(Buffer.from(linkTarget), { path, mode: LINK });
  return compress(await read(file), { path, mode: isExecutable ? EXECUTABLE : REGULAR });
}

function compress(bytes: Uint8Array<ArrayBuffer>, { path, mode }: { path: string; mode: number }): ZipEntry {
  const deflated = deflateSync(bytes, { level: 6 });
  const [method, packed] = deflated.length < bytes.length ? [DEFLATED, deflated] : [STORED, bytes];
  return { path, mode, crc: crc32(bytes), sizeBytes: bytes.length, method, packed };
}

async function read({ absolutePath, path, sizeBytes }: SourceFile): Promise<Buffer<ArrayBuffer>> {
  const bytes: Buffer<ArrayBuffer> = await readFile(absolutePath).catch((error: unknown) => {
    throw unreadable(absolutePath, error);
  });
  if (bytes.length !== sizeBytes) {
    const found = `it had ${sizeBytes} bytes and now has ${bytes.length}`;
    throw new CliError('FOLDER_CHANGED', { operands: { path, found } });
  }
  return bytes;
}
