import Database from 'better-sqlite3';
import { VmletError } from '../errors.ts';
import { type Migration, nodeMigrations } from './migrations.ts';
import { storageError } from './storage-error.ts';

/** An open SQLite database. Its owner closes it. */
export type SqliteDatabase = Database.Database;

/** "vmlt" in ASCII: tells our files from any other SQLite database. */
const APPLICATION_ID = 0x76_6d_6c_74;

const BUSY_TIMEOUT_MS = 5000;
/** Taken as it is needed. */
const CACHE_BYTES = 32 * 1024 * 1024;
const WAL_PAGES = 8000;

/**
 * Opens a database and brings it to the newest version. A committed transaction survives kill -9 and a power cut. With
 * `asItIs` it must exist, and nothing about it is changed: another process may be using it.
 *
 * @throws VmletError `FORMAT_NEWER` if a newer vmlet migrated it, `FORMAT_UNREADABLE` if it is not a database of
 *   vmlet's, `STORAGE_FULL`, `STORAGE_FAILED`
 */
export function openDatabase(
  path: string,
  { migrations = nodeMigrations, asItIs = false }: { migrations?: readonly Migration[]; asItIs?: boolean } = {},
): SqliteDatabase {
  let database: SqliteDatabase | undefined;
  try {
    database = new Database(path, { timeout: BUSY_TIMEOUT_MS, fileMustExist: asItIs });
    // First, and before anything is written to a file that may not be ours.
    refuseUnknown(database, { path, known: migrations.length, strict: asItIs });
    if (asItIs) return database;
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    // SQLite's own 2 MiB do not hold the upper pages of the indexes of a million messages.
    database.pragma(`cache_size = -${CACHE_BYTES / 1024}`);
    // Hot pages of indexes are then written to the database once for many commits; the log grows to 32 MiB.
    database.pragma(`wal_autocheckpoint = ${WAL_PAGES}`);
    database.pragma('foreign_keys = ON');
    database.pragma(`application_id = ${APPLICATION_ID}`);
    migrate(database, migrations);
    return database;
  } catch (error) {
    database?.close();
    const known = storageError(error, path);
    if (known instanceof VmletError) throw known;
    const cause = error instanceof Error ? error.message : String(error);
    throw new VmletError('FORMAT_UNREADABLE', { operands: { path, cause }, cause: error });
  }
}

/**
 * Runs `change` in one transaction and commits it to disk, or undoes all of it. `change` MUST NOT wait for anything.
 * @throws VmletError `STORAGE_FULL`, `STORAGE_FAILED`; whatever `change` throws
 */
export function transact<T>(database: SqliteDatabase, change: () => T): T {
  try {
    return database.transaction(change).immediate();
  } catch (error) {
    throw storageError(error, database.name);
  }
}

function versionOf(database: SqliteDatabase): number {
  return Number(database.pragma('user_version', { simple: true }));
}

function refuseUnknown(database: SqliteDatabase, expected: { path: string; known: number; strict: boolean }): void {
  const { path, known, strict } = expected;
  const applicationId = Number(database.pragma('application_id', { simple: true }));
  const hasTables = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined;
  if (applicationId !== APPLICATION_ID && (strict || applicationId !== 0 || hasTables)) {
    throw new VmletError('FORMAT_UNREADABLE', { operands: { path, cause: 'a database of another program' } });
  }
  const found = versionOf(database);
  if (found > known) throw new VmletError('FORMAT_NEWER', { operands: { path, found, known } });
}

function migrate(database: SqliteDatabase, migrations: readonly Migration[]): void {
  for (const [index, migration] of migrations.entries()) {
    const { version } = migration;
    if (version !== index + 1)
      throw new Error(`Cannot migrate: version ${version} stands at ${index + 1}, expected order`);
    if (versionOf(database) >= version) continue;
    // Within a transaction the switch does nothing.
    if (migration.rebuilds) database.pragma('foreign_keys = OFF');
    try {
      transact(database, () => step(database, migration));
    } finally {
      database.pragma('foreign_keys = ON');
    }
  }
}

function step(database: SqliteDatabase, { version, up, rebuilds }: Migration): void {
  // Again inside: another process may have come first.
  if (versionOf(database) >= version) return;
  database.exec(up);
  if (rebuilds) {
    const broken = database.pragma('foreign_key_check') as unknown[];
    if (broken.length > 0) throw new Error(`Cannot migrate: ${broken.length} references broken, expected none`);
  }
  database.pragma(`user_version = ${version}`);
}
