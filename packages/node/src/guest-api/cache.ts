import type { ItemHash } from '@vmlet/messages';
import { VmletError } from '../errors.ts';
import { openDatabase, transact } from '../store/index.ts';
import { matches } from './pattern.ts';

const MIB = 1024 * 1024;
/** What one program may keep, and in how many entries. */
export const CACHE_LIMITS = { valueBytes: MIB, programBytes: 16 * MIB, entries: 4096 } as const;
/** Of the file of all programs together, in bytes. */
const MAX_FILE_BYTES = 1024 * MIB;

const schema = {
  version: 1,
  up: `
    CREATE TABLE entries (
      item_hash  TEXT NOT NULL,
      key        TEXT NOT NULL,
      value      BLOB NOT NULL,
      bytes      INTEGER NOT NULL,
      expires_ms INTEGER NOT NULL,
      PRIMARY KEY (item_hash, key)
    ) STRICT;
    CREATE INDEX entries_by_size ON entries (item_hash, key, bytes);
    CREATE INDEX entries_by_end ON entries (expires_ms);
  `,
};

export interface CacheEntry {
  key: string;
  value: Buffer;
  /** From now on. */
  ttlSeconds: number;
}

export interface ProgramCacheOptions {
  path: string;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/**
 * What programs keep for a while: bytes by key, of each program by itself. It outlives machines and a node that is
 * killed; of a power cut it may lose the last seconds, which is what a cache is for.
 */
export class ProgramCache implements Disposable {
  readonly #database: ReturnType<typeof openDatabase>;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #now: () => number;

  /** @throws VmletError `FORMAT_NEWER`, `FORMAT_UNREADABLE`, `STORAGE_FULL`, `STORAGE_FAILED` */
  constructor({ path, now = Date.now }: ProgramCacheOptions) {
    this.#now = now;
    this.#database = openDatabase(path, { migrations: [schema] });
    // A program that puts in a loop must not make the node wait for the disk each time.
    this.#database.pragma('synchronous = NORMAL');
    const pageBytes = Number(this.#database.pragma('page_size', { simple: true }));
    this.#database.pragma(`max_page_count = ${Math.floor(MAX_FILE_BYTES / pageBytes)}`);
    this.#statements = prepare(this.#database);
    this.#statements.expireAll.run(this.#now());
  }

  /** Undefined if it is not there, or is over. */
  get(itemHash: ItemHash, key: string): Buffer | undefined {
    return this.#statements.get.get(itemHash, key, this.#now())?.value;
  }

  /**
   * Puts a value in the place of whatever the key had.
   * @throws VmletError `CACHE_FULL`, and then the old value stays; `STORAGE_FULL`, `STORAGE_FAILED`
   */
  put(itemHash: ItemHash, { key, value, ttlSeconds }: CacheEntry): void {
    const nowMs = this.#now();
    transact(this.#database, () => {
      const { expire, usage, put } = this.#statements;
      expire.run(itemHash, nowMs);
      const { count, bytes } = usage.get(itemHash, key) ?? { count: 0, bytes: 0 };
      if (count >= CACHE_LIMITS.entries) throw full(key, `${count} entries`, `${CACHE_LIMITS.entries} entries`);
      if (bytes + value.length > CACHE_LIMITS.programBytes) {
        throw full(key, `${bytes} bytes beside it`, `${CACHE_LIMITS.programBytes} bytes with it`);
      }
      put.run(itemHash, key, value, value.length, nowMs + ttlSeconds * 1000);
    });
  }

  /** @returns how many were deleted: 1, or 0 if it was not there */
  delete(itemHash: ItemHash, key: string): number {
    const wasThere = this.#statements.has.get(itemHash, key, this.#now()) !== undefined;
    this.#statements.delete.run(itemHash, key);
    return wasThere ? 1 : 0;
  }

  /** Keys that match a pattern with `*` and `?`, in order. */
  keys(itemHash: ItemHash, pattern: string): string[] {
    const rows = this.#statements.keys.all(itemHash, this.#now());
    return rows.map(({ key }) => key).filter((key) => matches(key, pattern));
  }

  /** Removes all that a program has kept. */
  forget(itemHash: ItemHash): void {
    this.#statements.forget.run(itemHash);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function prepare(database: ReturnType<typeof openDatabase>) {
  const inForce = 'item_hash = ? AND key = ? AND expires_ms > ?';
  return {
    get: database.prepare<[string, string, number], { value: Buffer }>(`SELECT value FROM entries WHERE ${inForce}`),
    has: database.prepare<[string, string, number], object>(`SELECT 1 FROM entries WHERE ${inForce}`),
    keys: database.prepare<[string, number], { key: string }>(
      'SELECT key FROM entries WHERE item_hash = ? AND expires_ms > ? ORDER BY key',
    ),
    put: database.prepare<[string, string, Buffer, number, number]>(
      `INSERT INTO entries (item_hash, key, value, bytes, expires_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (item_hash, key) DO UPDATE SET value = excluded.value, bytes = excluded.bytes,
         expires_ms = excluded.expires_ms`,
    ),
    usage: database.prepare<[string, string], { count: number; bytes: number }>(
      `SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes
       FROM entries INDEXED BY entries_by_size WHERE item_hash = ? AND key <> ?`,
    ),
    delete: database.prepare<[string, string]>('DELETE FROM entries WHERE item_hash = ? AND key = ?'),
    expire: database.prepare<[string, number]>('DELETE FROM entries WHERE item_hash = ? AND expires_ms <= ?'),
    expireAll: database.prepare<[number]>('DELETE FROM entries WHERE expires_ms <= ?'),
    forget: database.prepare<[string]>('DELETE FROM entries WHERE item_hash = ?'),
  };
}

function full(key: string, found: string, expected: string): VmletError {
  return new VmletError('CACHE_FULL', { operands: { key, found, expected } });
}
