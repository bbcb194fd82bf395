import type { ItemHash } from '@vmlet/messages';
import { addressKey } from '../address-key.ts';
import type { ElementRow } from '../apply/tables.ts';
import type { AggregateRecord } from '../records.ts';
import type { LedgerDatabase } from './ledger-database.ts';

interface AggregateColumns {
  owner: string;
  key: string;
  content: string;
  created: number;
  last_updated: number;
}

interface ElementColumns {
  item_hash: string;
  time: number;
  content: string;
}

/** The AGGREGATEs in force, and what they come to. */
export class AggregateTable {
  readonly #statements: ReturnType<typeof prepare>;
  /** Keys that lost an element, and are to be put together anew. */
  readonly #stale = new Map<string, { address: string; key: string }>();

  constructor(database: LedgerDatabase) {
    this.#statements = prepare(database);
  }

  /** The aggregates of an address, in the order of their keys. */
  all(address: string): AggregateRecord[] {
    return this.#statements.all.all(addressKey(address)).map(aggregateRecord);
  }

  find(address: string, key: string): AggregateRecord | undefined {
    const row = this.#statements.find.get(addressKey(address), key);
    return row && aggregateRecord(row);
  }

  /** One member of what a key comes to. */
  member(address: string, { key, name }: { key: string; name: string }): unknown {
    const value = this.#statements.member.get(addressKey(address), key, name)?.value;
    return value === undefined ? undefined : JSON.parse(value);
  }

  /** The elements of a key that were signed until `until`. */
  elements(address: string, { key, until }: { key: string; until: number }): string[] {
    return this.#statements.elements.all(addressKey(address), key, until).map((row) => row.item_hash);
  }

  /** Whether a key has, or had, an element. */
  hasHad(address: string, key: string): boolean {
    return this.#statements.hasHad.get({ address: addressKey(address), key }) !== undefined;
  }

  /** The FORGETs of a key that were signed at `since` or later. */
  keyForgottenBy(address: string, { key, since }: { key: string; since: number }): ItemHash[] {
    return this.#statements.keyForgottenBy.all(addressKey(address), key, since).map((row) => row.forgotten_by);
  }

  insertKeyForget(address: string, { key, time, by }: { key: string; time: number; by: ItemHash }): void {
    this.#statements.insertKeyForget.run(addressKey(address), key, time, by);
  }

  insert({ itemHash, address: owner, key, time, content }: ElementRow): void {
    const address = addressKey(owner);
    const text = JSON.stringify(content);
    this.#statements.insert.run(itemHash, address, key, time, text);
    this.#statements.touch.run({ address, key, owner, time });
    this.#merge({ address, key }, { item_hash: itemHash, time, content: text });
  }

  /** Takes an element out. What is left is put together by `rebuild`. */
  drop(itemHash: string): void {
    const row = this.#statements.drop.get(itemHash);
    if (row !== undefined) this.#stale.set(JSON.stringify([row.address, row.key]), row);
  }

  /** Puts together the keys that lost an element. */
  rebuild(): void {
    const keys = [...this.#stale.values()];
    this.#stale.clear();
    for (const { address, key } of keys) {
      this.#statements.clear.run(address, key);
      const left = this.#statements.left.all(address, key);
      for (const element of left) this.#merge({ address, key }, element);
      const [first, last] = [left[0], left.at(-1)];
      if (first === undefined || last === undefined) {
        this.#statements.dropKey.run(address, key);
        this.#statements.insertGone.run(address, key);
      } else this.#statements.setKey.run(first.time, last.time, last.owner, address, key);
    }
  }

  #merge(of: { address: string; key: string }, { item_hash, time, content }: ElementColumns): void {
    for (const [name, value] of Object.entries(JSON.parse(content))) {
      this.#statements.setMember.run({ ...of, name, value: JSON.stringify(value), time, item_hash });
    }
  }
}

function aggregateRecord({ owner, key, content, created, last_updated }: AggregateColumns): AggregateRecord {
  return { address: owner, key, content: JSON.parse(content), created, lastUpdated: last_updated };
}

function prepare(database: LedgerDatabase) {
  return {
    all: database.prepare<[string], AggregateColumns>('SELECT * FROM aggregates WHERE address = ? ORDER BY key'),
    find: database.prepare<[string, string], AggregateColumns>(
      'SELECT * FROM aggregates WHERE address = ? AND key = ?',
    ),
    member: database.prepare<[string, string, string], { value: string }>(
      'SELECT value FROM aggregate_members WHERE address = ? AND key = ? AND name = ?',
    ),
    elements: database.prepare<[string, string, number], ElementColumns>(
      'SELECT item_hash FROM aggregate_elements WHERE address = ? AND key = ? AND time <= ? ORDER BY time, item_hash',
    ),
    left: database.prepare<[string, string], ElementColumns & { owner: string }>(`
      SELECT element.*, messages.address AS owner FROM aggregate_elements AS element JOIN messages USING (item_hash)
      WHERE element.address = ? AND key = ? ORDER BY element.time, item_hash`),
    keyForgottenBy: database.prepare<[string, string, number], { forgotten_by: ItemHash }>(
      'SELECT forgotten_by FROM aggregate_forgets WHERE address = ? AND key = ? AND time >= ? ORDER BY time, forgotten_by',
    ),
    insertKeyForget: database.prepare<[string, string, number, string]>(
      'INSERT OR IGNORE INTO aggregate_forgets (address, key, time, forgotten_by) VALUES (?, ?, ?, ?)',
    ),
    insert: database.prepare<[string, string, string, number, string]>(
      'INSERT INTO aggregate_elements (item_hash, address, key, time, content) VALUES (?, ?, ?, ?, ?)',
    ),
    touch: database.prepare(`
      INSERT INTO aggregate_keys (address, key, owner, created, last_updated) VALUES (@address, @key, @owner, @time, @time)
      ON CONFLICT DO UPDATE SET created = min(created, @time), last_updated = max(last_updated, @time),
        owner = CASE WHEN @time > last_updated OR (@time = last_updated AND @owner > owner) THEN @owner ELSE owner END`),
    setMember: database.prepare(`
      INSERT INTO aggregate_members (address, key, name, value, time, item_hash)
      VALUES (@address, @key, @name, @value, @time, @item_hash)
      ON CONFLICT DO UPDATE SET value = excluded.value, time = excluded.time, item_hash = excluded.item_hash
      WHERE excluded.time > time OR (excluded.time = time AND excluded.item_hash > item_hash)`),
    clear: database.prepare<[string, string]>('DELETE FROM aggregate_members WHERE address = ? AND key = ?'),
    drop: database.prepare<[string], { address: string; key: string }>(
      'DELETE FROM aggregate_elements WHERE item_hash = ? RETURNING address, key',
    ),
    insertGone: database.prepare<[string, string]>('INSERT OR IGNORE INTO aggregate_gone (address, key) VALUES (?, ?)'),
    hasHad: database.prepare<[{ address: string; key: string }], unknown>(`
      SELECT 1 FROM aggregate_keys WHERE address = @address AND key = @key
      UNION SELECT 1 FROM aggregate_gone WHERE address = @address AND key = @key`),
    dropKey: database.prepare<[string, string]>('DELETE FROM aggregate_keys WHERE address = ? AND key = ?'),
    setKey: database.prepare<[number, number, string, string, string]>(
      'UPDATE aggregate_keys SET created = ?, last_updated = ?, owner = ? WHERE address = ? AND key = ?',
    ),
  };
}
