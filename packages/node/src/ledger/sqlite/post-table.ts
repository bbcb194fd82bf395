import { addressKey } from '../address-key.ts';
import type { PostRow } from '../apply/tables.ts';
import type { LedgerDatabase } from './ledger-database.ts';

/** The POSTs in force, and which amend of each counts. */
export class PostTable {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: LedgerDatabase) {
    this.#statements = prepare(database);
  }

  insert({ itemHash, address, postType, ref, amends, time }: PostRow): void {
    const columns = { item_hash: itemHash, address: addressKey(address), post_type: postType, time };
    this.#statements.insert.run({ ...columns, ref: ref ?? null, amends: amends ?? null });
    if (amends !== undefined) this.#statements.refresh.run({ original: amends });
  }

  drop(itemHash: string): void {
    const { amends } = this.#statements.find.get(itemHash) ?? {};
    this.#statements.drop.run(itemHash);
    if (typeof amends === 'string') this.#statements.refresh.run({ original: amends });
  }
}

function prepare(database: LedgerDatabase) {
  return {
    find: database.prepare<[string], { amends: string | null }>('SELECT amends FROM posts WHERE item_hash = ?'),
    insert: database.prepare(`
      INSERT INTO posts (item_hash, address, post_type, ref, amends, time, latest, last_updated)
      VALUES (@item_hash, @address, @post_type, @ref, @amends, @time, @item_hash, @time)`),
    // The newest amend, and the original only where there is none: its clock may have been ahead.
    refresh: database.prepare(`
      UPDATE posts SET (latest, last_updated) = (
        SELECT item_hash, time FROM posts AS version WHERE version.item_hash = @original OR version.amends = @original
        ORDER BY item_hash = @original, time DESC, item_hash LIMIT 1)
      WHERE item_hash = @original`),
    drop: database.prepare<[string]>('DELETE FROM posts WHERE item_hash = ?'),
  };
}
