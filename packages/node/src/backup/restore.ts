import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '@vmlet/host';
import { VmletError } from '../errors.ts';
import { errnoOf, seedHome } from '../store/index.ts';
import { type Member, readArchive } from './archive.ts';
import { filesNamedIn } from './database.ts';
import {
  type BackupManifest,
  backupSchema,
  DATABASE_NAME,
  hashInPath,
  isSafePath,
  MANIFEST_NAME,
  MAX_MANIFEST_BYTES,
  pathOfNamed,
} from './format.ts';
import { filesBelow } from './members.ts';
import { openStage, type Stage, type Written, writeInto } from './stage.ts';

export interface RestoreOptions {
  /** A backup: its folder, or its tar. */
  source: string;
  /** The home that it becomes; there must be nothing of that name, or an empty folder. */
  home: string;
  onProgress?: ((step: string, detail?: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** A home that was made of a backup. */
export interface Restored {
  readonly home: string;
  /** When the backup was made, in ISO 8601. */
  readonly made: string;
  readonly files: number;
  readonly sizeBytes: number;
  /** Files that messages name and that the backup has not. */
  readonly missing: readonly string[];
}

/**
 * Makes a home of a backup. Every byte is checked against its hash, and the database against the files that it names;
 * the home gets its name when all of it is right and on disk. Until then there is none that a node would start from.
 * @throws VmletError `RESTORE_TARGET_TAKEN`, `BACKUP_SOURCE_UNFIT`, `BACKUP_DAMAGED`, `FORMAT_NEWER`,
 *   `FORMAT_UNREADABLE`, `STORAGE_FULL`, `STORAGE_FAILED`; the signal's reason
 */
export async function restoreHome(options: RestoreOptions): Promise<Restored> {
  const { source, home, onProgress, signal } = options;
  await refuseTaken(home);
  await mkdir(dirname(home), { recursive: true });
  await using stage = await openStage(home);
  const got = new Map<string, Written>();
  let text: string | undefined;
  for await (const { path, bytes } of await membersIn(source)) {
    signal?.throwIfAborted();
    if (path === MANIFEST_NAME) {
      text = await textOf(bytes, source);
      continue;
    }
    if (!isSafePath(path) || got.has(path)) throw damaged(source, `"${path.slice(0, 200)}" in it`, 'files of a home');
    got.set(path, await take(stage, path, { bytes, options }));
    onProgress?.('Checking and copying files', `${got.size}`);
  }
  const manifest = manifestOf(text, source);
  onProgress?.('Checking the database');
  compare(got, manifest, source);
  const missing = missingIn(join(stage.dir, DATABASE_NAME), { got, manifest, source });
  await seedHome(stage.dir);
  await rename(stage.dir, home);
  await syncDirectory(dirname(home));
  const sizeBytes = [...got.values()].reduce((sum, file) => sum + file.sizeBytes, 0);
  return { home, made: manifest.made, files: got.size, sizeBytes, missing };
}

async function refuseTaken(home: string): Promise<void> {
  try {
    if ((await readdir(home)).length === 0) return;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    if (errnoOf(error) !== 'ENOTDIR') throw error;
  }
  throw new VmletError('RESTORE_TARGET_TAKEN', { operands: { home } });
}

async function membersIn(source: string): Promise<AsyncIterable<Member>> {
  let found = 'neither a file nor a folder';
  try {
    const entry = await stat(source);
    if (entry.isFile()) return readArchive(source);
    if (entry.isDirectory()) return readFolder(source);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    found = errno === 'ENOENT' ? 'there is no such file or folder' : `it cannot be looked at: ${errno}`;
  }
  const operands = { path: source, found, expected: 'a backup that vmlet made' };
  throw new VmletError('BACKUP_SOURCE_UNFIT', { operands });
}

async function* readFolder(folder: string): AsyncGenerator<Member> {
  for await (const path of filesBelow(folder)) {
    const bytes = createReadStream(join(folder, path));
    yield { path, bytes };
    bytes.destroy();
  }
}

async function take(
  stage: Stage,
  path: string,
  { bytes, options: { signal, source } }: { bytes: Member['bytes']; options: RestoreOptions },
): Promise<Written> {
  const expected = hashInPath(path);
  try {
    return await writeInto(stage, path, { source: bytes, expected, mode: expected ? 0o444 : 0o600, signal });
  } catch (error) {
    const isOther = error instanceof VmletError && error.code === 'CONTENT_HASH_MISMATCH';
    if (isOther) throw damaged(source, `other bytes in "${path}"`, 'those that its name is the hash of');
    throw error;
  }
}

async function textOf(bytes: Member['bytes'], source: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of bytes) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_MANIFEST_BYTES) throw damaged(source, `a ${MANIFEST_NAME} without end`, 'a short one');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function manifestOf(text: string | undefined, source: string): BackupManifest {
  if (text === undefined) throw damaged(source, `no ${MANIFEST_NAME} in it`, 'a whole backup');
  try {
    return backupSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(source, `a ${MANIFEST_NAME} that cannot be read`, 'one that this vmlet knows', cause);
  }
}

/** What is here must be what was written: no file more, none less, each with its bytes. */
function compare(got: ReadonlyMap<string, Written>, manifest: BackupManifest, source: string): void {
  for (const { path, sha256 } of manifest.listed) {
    if (got.get(path)?.sha256 === sha256) continue;
    throw damaged(source, `${got.has(path) ? 'other bytes in' : 'no'} "${path}"`, 'what was backed up');
  }
  const listed = new Set(manifest.listed.map(({ path }) => path));
  const others = [...got].filter(([path]) => !listed.has(path));
  const foreign = others.find(([path]) => hashInPath(path) === undefined);
  if (foreign !== undefined) throw damaged(source, `"${foreign[0]}" in it`, 'nothing that was not backed up');
  const sizeBytes = others.reduce((sum, [, file]) => sum + file.sizeBytes, 0);
  const { hashed } = manifest;
  if (others.length === hashed.files && sizeBytes === hashed.sizeBytes) return;
  throw damaged(source, `${others.length} files of content`, `${hashed.files}`);
}

function missingIn(
  database: string,
  { got, manifest, source }: { got: ReadonlyMap<string, Written>; manifest: BackupManifest; source: string },
): string[] {
  if (!got.has(DATABASE_NAME)) throw damaged(source, `no "${DATABASE_NAME}"`, 'what was backed up');
  const known = new Set(manifest.missing);
  const missing = [...filesNamedIn(database)].filter((name) => !got.has(pathOfNamed(name)));
  const lost = missing.find((hash) => !known.has(hash));
  if (lost !== undefined) throw damaged(source, `no file "${lost}"`, 'all that its messages name');
  return missing;
}

function damaged(path: string, found: string, expected: string, cause?: unknown): VmletError {
  return new VmletError('BACKUP_DAMAGED', { operands: { path, found, expected }, cause });
}
