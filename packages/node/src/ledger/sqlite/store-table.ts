import type { ItemHash } from '@vmlet/messages';
import { addressKey } from '../address-key.ts';
import type { StoreRow } from '../apply/tables.ts';
import type { LedgerDatabase } from './ledger-database.ts';

interface StoreColumns {
  item_hash: ItemHash;
  address: string;
  file_hash: StoreRow['fileHash'];
  size_bytes: number;
  tag: string;
  is_update: number;
  time: number;
}

/** The STOREs in force. */
export class StoreTable {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: LedgerDatabase) {
    this.#statements = prepare(database);
  }

  find(itemHash: string): StoreRow | undefined {
    return storeRow(this.#statements.find.get(itemHash));
  }

  /** The newest STORE under a tag. */
  latest(tag: string): StoreRow | undefined {
    return storeRow(this.#statements.latest.get(tag));
  }

  /** The STOREs of an address, newest first. */
  of(address: string): StoreRow[] {
    return this.#statements.of.all(addressKey(address)).flatMap((row) => storeRow(row) ?? []);
  }

  /** Of the files that the STOREs of an address name, each counted once. */
  bytesOf(address: string): number {
    return this.#statements.bytesOf.get(addressKey(address))?.bytes ?? 0;
  }

  insert({ itemHash, address, fileHash, sizeBytes, tag, isUpdate, time }: StoreRow): void {
    this.#statements.insert.run(itemHash, addressKey(address), fileHash, sizeBytes, tag, isUpdate ? 1 : 0, time);
  }

  /** @returns the tag, if another STORE is its newest now */
  drop(itemHash: string): string | undefined {
    const store = this.find(itemHash);
    if (store === undefined) return undefined;
    const wasNewest = this.latest(store.tag)?.itemHash === itemHash;
    this.#statements.drop.run(itemHash);
    return wasNewest && this.latest(store.tag) !== undefined ? store.tag : undefined;
  }
}

function storeRow(columns: StoreColumns | undefined): StoreRow | undefined {
  if (columns === undefined) return undefined;
  const { item_hash: itemHash, address, file_hash: fileHash, size_bytes: sizeBytes, tag, is_update, time } = columns;
  return { itemHash, address, fileHash, sizeBytes, tag, isUpdate: is_update === 1, time };
}

function prepare(database: LedgerDatabase) {
  return {
    find: database.prepare<[string], StoreColumns>('SELECT * FROM stores WHERE item_hash = ?'),
    latest: database.prepare<[string], StoreColumns>(
      'SELECT * FROM stores WHERE tag = ? ORDER BY time DESC, item_hash LIMIT 1',
    ),
    of: database.prepare<[string], StoreColumns>(
      'SELECT * FROM stores WHERE address = ? ORDER BY time DESC, item_hash',
    ),
    bytesOf: database.prepare<[string], { bytes: number | null }>(
      'SELECT sum(size_bytes) AS bytes FROM (SELECT DISTINCT file_hash, size_bytes FROM stores WHERE address = ?)',
    ),
    insert: database.prepare<[string, string, string, number, string, number, number]>(
      'INSERT INTO stores (item_hash, address, file_hash, size_bytes, tag, is_update, time) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    drop: database.prepare<[string]>('DELETE FROM stores WHERE item_hash = ?'),
  };
}
