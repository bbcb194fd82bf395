import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { type Blob, fileBlob, readBlob } from './blob.ts';
import { ImportError, refused } from './errors.ts';
import { packingOf } from './layer.ts';
import { IMPORT_LIMITS } from './limits.ts';
import { TarReader } from './tar/reader.ts';

/** The files that an image consists of, in a folder or in a tar, by their paths. */
export interface ImageStore {
  /** Undefined for a file that is not there. */
  find(path: string): Promise<Blob | undefined>;
}

/** A folder's files. */
export function folderStore(folder: string): ImageStore {
  return {
    async find(path) {
      const found = await stat(join(folder, path)).catch(() => undefined);
      if (!found?.isFile()) return undefined;
      return fileBlob(join(folder, path), { operand: `"${path}"`, offset: 0, size: found.size });
    },
  };
}

/** How a file on this host is packed. @throws the system call's error */
export async function packingOfFile(path: string): Promise<ReturnType<typeof packingOf>> {
  await using file = await open(path, 'r');
  const head = Buffer.alloc(8);
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  return packingOf(head.subarray(0, bytesRead));
}

/** As many links as lead from one name to another in the archives of Docker. */
const MAX_LINKS = 8;
const READ_BYTES = 1024 * 1024;

/**
 * The files in a tar, which is read through once. The last of several with one name counts.
 * @param path not packed, for files are read out of its middle
 * @throws ImportError
 */
export async function tarStore(path: string, operand: string): Promise<ImageStore> {
  const files = new Map<string, { offset: number; size: number } | { link: string }>();
  const reader = new TarReader(createReadStream(path, { highWaterMark: READ_BYTES }), { operand });
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const name = cleaned(entry.name, '');
    if (entry.kind === 'file' && entry.size === entry.storedBytes)
      files.set(name, { offset: entry.offset, size: entry.size });
    // Older archives of Docker have links to layers that they share.
    if (entry.kind === 'symlink') files.set(name, { link: cleaned(entry.linkname, name) });
    if (entry.kind === 'link') files.set(name, { link: cleaned(entry.linkname, '') });
    if (files.size > IMPORT_LIMITS.entries)
      throw refused(operand, `more than ${IMPORT_LIMITS.entries} files`, 'an image');
  }
  await reader.close();
  return {
    async find(wanted) {
      let found = files.get(cleaned(Buffer.from(wanted).toString('latin1'), ''));
      for (let hops = 0; found !== undefined && 'link' in found && hops < MAX_LINKS; hops++)
        found = files.get(found.link);
      if (found === undefined || 'link' in found) return undefined;
      return fileBlob(path, { operand: `"${wanted}"`, ...found });
    },
  };
}

/** A path without `.` and `..`, seen from beside `from`. Nothing is opened by it: it is a key. */
function cleaned(path: string, from: string): string {
  const parts = path.startsWith('/') ? [] : from.split('/').slice(0, -1);
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** A document of an image, checked. @throws ImportError that names the member which does not fit */
export async function readDocument<T extends z.ZodType>(
  blob: Blob,
  schema: T,
  options: { digest?: string | undefined } = {},
): Promise<z.infer<T>> {
  const bytes = await readBlob(blob, { ...options, maxBytes: IMPORT_LIMITS.documentBytes });
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new ImportError(`Cannot import ${blob.operand}: text that does not parse, expected JSON`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw unfit(blob.operand, parsed.error);
}

/** The first member that does not fit, in words. */
export function unfit(operand: string, { issues }: z.ZodError): ImportError {
  const [issue] = issues;
  const member = issue?.path.join('.') || 'the whole';
  return refused(operand, `"${member}": ${issue?.message ?? 'unknown'}`, 'a document of an OCI or Docker image');
}
