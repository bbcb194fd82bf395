import type { ItemHash } from '@vmlet/messages';
import type { openDatabase } from '../store/index.ts';

/** The database that names live in: node.db, migrated. */
export type DeploymentsDatabase = ReturnType<typeof openDatabase>;

/** A program that a name has led to. */
export interface NamedVersion {
  /** Counts up from 1, and is never used again for the same name. */
  readonly version: number;
  readonly itemHash: ItemHash;
  /** The version that served when this one came. */
  readonly previous: number | undefined;
  /** When the name led to it first. */
  readonly namedMs: number;
}

/** A name, and where it has led. */
export interface NameRecord {
  readonly name: string;
  /** Its owner: only programs of this address can have it. */
  readonly address: string;
  /** Where it leads; undefined when that program was forgotten and no other was chosen yet. */
  readonly itemHash: ItemHash | undefined;
  /** The newest first. */
  readonly versions: readonly NamedVersion[];
}

interface NameColumns {
  name: string;
  address: string;
  item_hash: ItemHash | null;
}

interface VersionColumns {
  version: number;
  item_hash: ItemHash;
  previous: number | null;
  named_ms: number;
}

/** The rows of names and of their versions. Changes are to be called within a transaction. */
export class NameTables {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DeploymentsDatabase) {
    this.#statements = prepare(database);
  }

  all(): NameRecord[] {
    return this.#statements.names.all().map((row) => this.#record(row));
  }

  read(name: string): NameRecord | undefined {
    const row = this.#statements.name.get(name);
    return row && this.#record(row);
  }

  /** Makes the row of a name that nobody has. */
  take(name: string, address: string): void {
    this.#statements.take.run(name, address);
  }

  /** Leads to a program: to the version that it is, or to a new one; of too many the oldest go. */
  lead(name: string, { itemHash, nowMs, kept }: { itemHash: ItemHash; nowMs: number; kept: number }): void {
    const { version, count, insert, prune } = this.#statements;
    if (version.get(name, itemHash) === undefined) {
      const current = this.#statements.name.get(name)?.item_hash ?? null;
      const previous = current === null ? undefined : version.get(name, current)?.version;
      count.run(name);
      insert.run({ name, itemHash, previous: previous ?? null, nowMs });
    }
    this.point(name, itemHash);
    prune.run({ name, itemHash, kept });
  }

  point(name: string, itemHash: ItemHash): void {
    this.#statements.point.run(itemHash, name);
  }

  rename(name: string, to: string): void {
    this.#statements.rename.run(to, name);
  }

  remove(name: string): void {
    this.#statements.remove.run(name);
  }

  #record({ name, address, item_hash }: NameColumns): NameRecord {
    const versions = this.#statements.versions.all(name).map(namedVersion);
    return { name, address, itemHash: item_hash ?? undefined, versions };
  }
}

function namedVersion({ version, item_hash: itemHash, previous, named_ms: namedMs }: VersionColumns): NamedVersion {
  return { version, itemHash, previous: previous ?? undefined, namedMs };
}

function prepare(database: DeploymentsDatabase) {
  return {
    names: database.prepare<[], NameColumns>('SELECT name, address, item_hash FROM names'),
    name: database.prepare<[string], NameColumns>('SELECT name, address, item_hash FROM names WHERE name = ?'),
    versions: database.prepare<[string], VersionColumns>(
      'SELECT version, item_hash, previous, named_ms FROM name_versions WHERE name = ? ORDER BY version DESC',
    ),
    version: database.prepare<[string, string], { version: number }>(
      'SELECT version FROM name_versions WHERE name = ? AND item_hash = ?',
    ),
    take: database.prepare<[string, string]>('INSERT OR IGNORE INTO names (name, address) VALUES (?, ?)'),
    count: database.prepare<[string]>('UPDATE names SET last_version = last_version + 1 WHERE name = ?'),
    insert: database.prepare<[{ name: string; itemHash: string; previous: number | null; nowMs: number }]>(
      `INSERT INTO name_versions (name, version, item_hash, previous, named_ms)
       SELECT name, last_version, :itemHash, :previous, :nowMs FROM names WHERE name = :name`,
    ),
    point: database.prepare<[string, string]>('UPDATE names SET item_hash = ? WHERE name = ?'),
    // Never the one that serves: after a step back it can be the oldest.
    prune: database.prepare<[{ name: string; itemHash: string; kept: number }]>(
      `DELETE FROM name_versions WHERE name = :name AND item_hash <> :itemHash AND version NOT IN
       (SELECT version FROM name_versions WHERE name = :name ORDER BY version DESC LIMIT :kept)`,
    ),
    rename: database.prepare<[string, string]>('UPDATE names SET name = ? WHERE name = ?'),
    remove: database.prepare<[string]>('DELETE FROM names WHERE name = ?'),
  };
}
