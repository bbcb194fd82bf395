import { lstat, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { syncDirectory } from '@vmlet/host';
import { VmletError } from '../errors.ts';
import { errnoOf, pathsOf } from '../store/index.ts';
import { VERSION } from '../version.ts';
import { writeArchive } from './archive.ts';
import { copyDatabase, filesNamedIn } from './database.ts';
import { BACKUP_FORMAT, type BackupManifest, DATABASE_NAME, hashInPath, MANIFEST_NAME, pathOfNamed } from './format.ts';
import { membersOf } from './members.ts';
import { copyInto, linkInto, openStage, type Stage, sealed, writeInto } from './stage.ts';

/** Copies of the database, where files went away behind one. */
const MAX_ATTEMPTS = 3;
/** A stored file never changes; all else is the owner's. */
const HASHED_MODE = 0o444;
const LISTED_MODE = 0o600;

export interface BackUpOptions {
  /** Of the node; it may run. */
  home: string;
  /** A folder, or a file if it ends with `.tar`; there must be nothing of that name. */
  target: string;
  onProgress?: ((step: string, detail?: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** A backup that was made. */
export interface BackedUp {
  readonly target: string;
  readonly files: number;
  readonly sizeBytes: number;
  /** Those that share their bytes on disk with the home. */
  readonly linked: number;
  /** Files that messages name and that the home has not. */
  readonly missing: readonly string[];
}

/**
 * Copies a home while its node goes on: the database as it is at one moment, and the files that it names. The home is
 * read only. The backup gets its name when it is whole and on disk; whatever fails, there is none.
 * @throws VmletError `BACKUP_TARGET_TAKEN`, `BACKUP_SOURCE_UNFIT`, `FORMAT_NEWER`, `FORMAT_UNREADABLE`,
 *   `STORAGE_FULL`, `STORAGE_FAILED`; the signal's reason
 */
export async function backUpHome(options: BackUpOptions): Promise<BackedUp> {
  const { home, target, signal } = options;
  await refuse(home, target);
  const made = new Date().toISOString();
  await mkdir(dirname(target), { recursive: true });
  await using stage = await openStage(target);
  const gathering = new Gathering(stage, options);
  const missing = await gathering.all();
  const { hashed, listed, linked } = gathering;
  const manifest: BackupManifest = {
    ...{ format: BACKUP_FORMAT, kind: 'vmlet/backup', version: VERSION, made },
    ...{ hashed, listed, missing },
  };
  const source = one(Buffer.from(`${JSON.stringify(manifest)}\n`));
  await writeInto(stage, MANIFEST_NAME, { source, mode: LISTED_MODE, signal });
  options.onProgress?.('Finishing the backup');
  const whole = target.endsWith('.tar') ? await writeArchive(stage, { signal }) : stage.dir;
  await rename(whole, target);
  await syncDirectory(dirname(target));
  const sizeBytes = listed.reduce((sum, file) => sum + file.sizeBytes, hashed.sizeBytes);
  return { target, files: hashed.files + listed.length, sizeBytes, linked, missing };
}

async function refuse(home: string, target: string): Promise<void> {
  const isThere = (await lstat(target).catch(() => undefined)) !== undefined;
  const isInside = !relative(home, target).startsWith('..');
  if (isThere || isInside) {
    const found = isThere ? 'something of that name is there' : 'it would be a part of itself';
    throw new VmletError('BACKUP_TARGET_TAKEN', { operands: { target, found } });
  }
  let found = `no ${DATABASE_NAME} in it`;
  try {
    if ((await stat(pathsOf(home).database)).isFile()) return;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    if (errno !== 'ENOENT' && errno !== 'ENOTDIR') found = `${DATABASE_NAME} cannot be looked at: ${errno}`;
  }
  const operands = { path: home, found, expected: 'the home of a node' };
  throw new VmletError('BACKUP_SOURCE_UNFIT', { operands });
}

/** The files of a home, brought into a stage. */
class Gathering {
  readonly hashed = { files: 0, sizeBytes: 0 };
  readonly listed: BackupManifest['listed'] = [];
  linked = 0;
  readonly #stage: Stage;
  readonly #options: BackUpOptions;
  readonly #seen = new Set<string>();

  constructor(stage: Stage, options: BackUpOptions) {
    this.#stage = stage;
    this.#options = options;
  }

  /** @returns the files that the database names and that are not in the home */
  async all(): Promise<string[]> {
    let missing: string[] = [];
    const database = join(this.#stage.dir, DATABASE_NAME);
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      this.#options.onProgress?.('Copying the database');
      await rm(database, { force: true });
      copyDatabase(pathsOf(this.#options.home).database, database);
      for await (const path of membersOf(this.#options.home)) await this.#add(path);
      missing = [...filesNamedIn(database)].filter((name) => !this.#seen.has(pathOfNamed(name)));
      // A file that was collected meanwhile is named by no later copy.
      if (missing.length === 0) break;
    }
    this.listed.push({ path: DATABASE_NAME, ...(await sealed(database)) });
    return missing;
  }

  async #add(path: string): Promise<void> {
    const { signal, home, onProgress } = this.#options;
    signal?.throwIfAborted();
    if (this.#seen.has(path)) return;
    const from = join(home, path);
    const expected = hashInPath(path);
    try {
      if (expected === undefined) {
        this.listed.push({ path, ...(await copyInto(this.#stage, path, { from, mode: LISTED_MODE, signal })) });
      } else {
        const isLinked = await linkInto(this.#stage, path, { from });
        if (!isLinked) await copyInto(this.#stage, path, { from, expected, mode: HASHED_MODE, signal });
        this.linked += isLinked ? 1 : 0;
        this.hashed.files += 1;
        this.hashed.sizeBytes += (await stat(join(this.#stage.dir, path))).size;
      }
    } catch (error) {
      // Collected since it was found; whether it is missed shows when all are here.
      if (errnoOf(error) === 'ENOENT') return;
      throw error;
    }
    this.#seen.add(path);
    onProgress?.('Copying files', `${this.#seen.size}`);
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
