import type { openDatabase } from '../store/index.ts';

/** The database that messages live in: node.db, migrated. */
export type CatalogueDatabase = ReturnType<typeof openDatabase>;

/** Which runtimes are wanted. */
export interface RuntimeQuery {
  /** Of these publishers; of all where there is none. */
  readonly addresses?: readonly string[] | undefined;
  /** Whose manifests say one of these names. */
  readonly names?: readonly string[] | undefined;
  readonly limit: number;
  readonly offset: number;
}

/** Addresses in which letter case does not count; the ledger keeps them in lower case. */
const EVM_ADDRESS = /^0x[0-9a-f]{40}$/i;

// As the indexes of migration 8 have them: SQLite compares expressions, not what they mean.
const CONTENT = 'coalesce(item_content, content)';
const IS_RUNTIME =
  `type = 'STORE' AND status = 'processed' AND CASE WHEN json_valid(${CONTENT}) ` +
  `THEN ${CONTENT} ->> '$.metadata.kind' END = 'vmlet/runtime'`;
const NAME = `${CONTENT} ->> '$.metadata.name'`;

/** Finds the STOREs in force that say they are runtimes; whether they are is for the manifest to say. */
export class RuntimeIndex {
  readonly #database: CatalogueDatabase;

  constructor(database: CatalogueDatabase) {
    this.#database = database;
  }

  /** The newest first. */
  find(query: RuntimeQuery): { hashes: string[]; total: number } {
    const { from, where, values } = conditionOf(query);
    const rows = this.#database
      .prepare<unknown[], { item_hash: string }>(
        `SELECT item_hash FROM ${from} WHERE ${where} ORDER BY position DESC LIMIT ? OFFSET ?`,
      )
      .all(...values, query.limit, query.offset);
    const counted = this.#database
      .prepare<unknown[], { total: number }>(`SELECT count(*) AS total FROM ${from} WHERE ${where}`)
      .get(...values);
    return { hashes: rows.map((row) => row.item_hash), total: counted?.total ?? 0 };
  }

  /** The programs in force that name a STORE, the oldest first. */
  usersOf(itemHash: string): { itemHash: string; address: string }[] {
    const rows = this.#database.prepare<[string], { item_hash: string; address: string }>(
      'SELECT messages.item_hash, messages.address FROM program_refs JOIN messages USING (item_hash) ' +
        'WHERE program_refs.ref = ? ORDER BY position',
    );
    return rows.all(itemHash).map((row) => ({ itemHash: row.item_hash, address: row.address }));
  }

  /** The value of one member of an AGGREGATE, as its owner signed it last; undefined if there is none. */
  memberOf({ address, key, name }: { address: string; key: string; name: string }): unknown {
    const row = this.#database
      .prepare<[string, string, string], { value: string }>(
        'SELECT value FROM aggregate_members WHERE address = ? AND key = ? AND name = ?',
      )
      .get(EVM_ADDRESS.test(address) ? address.toLowerCase() : address, key, name);
    return row && (JSON.parse(row.value) as unknown);
  }

  /** How SQLite would look for them, for tests. */
  planOf(query: RuntimeQuery): string[] {
    const { from, where, values } = conditionOf(query);
    return this.#database
      .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN SELECT item_hash FROM ${from} WHERE ${where}`)
      .all(...values)
      .map(({ detail }) => detail);
  }
}

function conditionOf({ addresses = [], names = [] }: RuntimeQuery): { from: string; where: string; values: string[] } {
  const places = (values: readonly string[]) => values.map(() => '?').join(', ');
  const conditions = [
    IS_RUNTIME,
    ...(addresses.length === 0 ? [] : [`lower(address) IN (${places(addresses)})`]),
    ...(names.length === 0 ? [] : [`${NAME} IN (${places(names)})`]),
  ];
  const index = addresses.length > 0 ? 'owner' : names.length > 0 ? 'name' : 'position';
  // It would take that of the states, which has nearly all messages.
  const from = `messages INDEXED BY runtimes_by_${index}`;
  return { from, where: conditions.join(' AND '), values: [...addresses.map((one) => one.toLowerCase()), ...names] };
}
