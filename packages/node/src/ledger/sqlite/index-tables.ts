import type { ItemHash } from '@vmlet/messages';
import { addressKey } from '../address-key.ts';
import type { LedgerTables, MessageRow, ProgramRow, StoreRow } from '../apply/tables.ts';
import type { AggregateRecord, AnyProcessedMessage, Holdings, InstanceRecord, ProgramRecord } from '../records.ts';
import { transition } from '../state.ts';
import type { LedgerDatabase } from './ledger-database.ts';
import { messageOf, type Row } from './rows.ts';

interface StoreColumns {
  item_hash: ItemHash;
  address: string;
  file_hash: StoreRow['fileHash'];
  size_bytes: number;
  tag: string;
  is_update: number;
  time: number;
}

/** The index of what is in force: STOREs, PROGRAMs, and who forgot what. */
export class IndexTables implements LedgerTables {
  readonly #statements: ReturnType<typeof prepare>;

  readonly #standIn: (ref: string) => boolean;

  constructor(database: LedgerDatabase, { standIn }: { standIn?: ((ref: string) => boolean) | undefined } = {}) {
    this.#statements = prepare(database);
    this.#standIn = standIn ?? (() => false);
  }

  standIn(ref: string): boolean {
    return this.#standIn(ref);
  }

  message(itemHash: string): MessageRow | undefined {
    const row = this.#statements.message.get(itemHash);
    return row && { status: row.status, type: row.type, address: row.address ?? undefined };
  }

  store(itemHash: string): StoreRow | undefined {
    return storeRow(this.#statements.store.get(itemHash));
  }

  /** The newest STORE under a tag. */
  latest(tag: string): StoreRow | undefined {
    return storeRow(this.#statements.latest.get(tag));
  }

  /** The STOREs of an address, newest first. */
  storesOf(address: string): StoreRow[] {
    return this.#statements.storesOf.all(addressKey(address)).flatMap((row) => storeRow(row) ?? []);
  }

  program(itemHash: string): ProgramRecord | undefined {
    return asProgram(messageOf(this.#statements.program.get(itemHash)));
  }

  /** The programs in force, oldest first. */
  programs(): ProgramRecord[] {
    return this.#statements.programs.all().flatMap((row) => asProgram(messageOf(row)) ?? []);
  }

  holdingsOf(address: string): Holdings {
    const key = addressKey(address);
    return {
      programs: this.#statements.programsOf.all(key).map((row) => row.item_hash),
      pendingPrograms: this.#statements.pendingProgramsOf.get(key)?.count ?? 0,
      storedBytes: this.#statements.storedBytesOf.get(key)?.bytes ?? 0,
    };
  }

  usersOf(ref: string): string[] {
    return this.#statements.usersOf.all(ref).map((row) => row.item_hash);
  }

  replacementsOf(itemHash: string): string[] {
    return this.#statements.replacementsOf.all(itemHash).map((row) => row.item_hash);
  }

  insertStore({ itemHash, address, fileHash, sizeBytes, tag, isUpdate, time }: StoreRow): void {
    this.#statements.insertStore.run(itemHash, addressKey(address), fileHash, sizeBytes, tag, isUpdate ? 1 : 0, time);
  }

  insertProgram({ itemHash, address, replaces, time, refs }: ProgramRow): void {
    this.#statements.insertProgram.run(itemHash, addressKey(address), replaces ?? null, time);
    for (const ref of refs) this.#statements.insertRef.run(itemHash, ref);
  }

  forget(itemHash: string, { by }: { by: ItemHash }): AnyProcessedMessage | undefined {
    const row = this.#statements.message.get(itemHash);
    if (row === undefined) return undefined;
    this.#statements.insertForget.run(itemHash, by);
    if (row.status === 'forgotten') return undefined;
    const message = messageOf(row);
    this.#statements.skeleton.run(transition(row.status, 'forgotten', { itemHash }), itemHash);
    this.drop(itemHash);
    return message;
  }

  /** Takes a message out of the index. */
  drop(itemHash: string): void {
    this.#statements.deleteStore.run(itemHash);
    this.#statements.deleteProgram.run(itemHash);
    this.#statements.deleteInstance.run(itemHash);
  }

  instance(itemHash: string): InstanceRecord | undefined {
    return asInstance(messageOf(this.#statements.instance.get(itemHash)));
  }

  /** The instances in force, oldest first. */
  instances(): InstanceRecord[] {
    return this.#statements.instances.all().flatMap((row) => asInstance(messageOf(row)) ?? []);
  }

  /** The programs and instances in force that use the newest STORE under a tag. */
  usersOfLatest(tag: string): (ProgramRecord | InstanceRecord)[] {
    return this.#statements.usersOfLatest.all(tag, tag).flatMap((row) => asMachine(messageOf(row)) ?? []);
  }

  /** The newest program or instance in force that replaces one. */
  replacementOf(itemHash: string): ProgramRecord | InstanceRecord | undefined {
    return asMachine(messageOf(this.#statements.replacementOf.get(itemHash, itemHash)));
  }

  /** The aggregates of an address, in the order of their keys. */
  aggregates(address: string): AggregateRecord[] {
    return this.#statements.aggregates.all(addressKey(address)).map(aggregateRecord);
  }

  aggregate(address: string, key: string): AggregateRecord | undefined {
    const row = this.#statements.aggregate.get(addressKey(address), key);
    return row && aggregateRecord(row);
  }

  /** The FORGETs that name a message, in the order they came. */
  forgottenBy(itemHash: string): ItemHash[] {
    return this.#statements.forgottenBy.all(itemHash).map((row) => row.forgotten_by);
  }
}

function storeRow(columns: StoreColumns | undefined): StoreRow | undefined {
  if (columns === undefined) return undefined;
  const { item_hash: itemHash, address, file_hash: fileHash, size_bytes: sizeBytes, tag, is_update, time } = columns;
  return { itemHash, address, fileHash, sizeBytes, tag, isUpdate: is_update === 1, time };
}

function asInstance(message: AnyProcessedMessage | undefined): InstanceRecord | undefined {
  return message?.type === 'INSTANCE' ? message : undefined;
}

function asMachine(message: AnyProcessedMessage | undefined): ProgramRecord | InstanceRecord | undefined {
  return asProgram(message) ?? asInstance(message);
}

interface AggregateColumns {
  owner: string;
  key: string;
  content: string;
  created: number;
  last_updated: number;
}

function aggregateRecord({ owner, key, content, created, last_updated }: AggregateColumns): AggregateRecord {
  return { address: owner, key, content: JSON.parse(content), created, lastUpdated: last_updated };
}

function asProgram(message: AnyProcessedMessage | undefined): ProgramRecord | undefined {
  return message?.type === 'PROGRAM' ? message : undefined;
}

function prepare(database: LedgerDatabase) {
  return {
    message: database.prepare<[string], Row>('SELECT * FROM messages WHERE item_hash = ?'),
    store: database.prepare<[string], StoreColumns>('SELECT * FROM stores WHERE item_hash = ?'),
    latest: database.prepare<[string], StoreColumns>(
      'SELECT * FROM stores WHERE tag = ? ORDER BY time DESC, item_hash LIMIT 1',
    ),
    storesOf: database.prepare<[string], StoreColumns>(
      'SELECT * FROM stores WHERE address = ? ORDER BY time DESC, item_hash',
    ),
    program: database.prepare<[string], Row>(
      'SELECT messages.* FROM messages JOIN programs USING (item_hash) WHERE item_hash = ?',
    ),
    programs: database.prepare<[], Row>(
      'SELECT messages.* FROM messages JOIN programs USING (item_hash) ORDER BY position',
    ),
    programsOf: database.prepare<[string], { item_hash: ItemHash }>('SELECT item_hash FROM programs WHERE address = ?'),
    pendingProgramsOf: database.prepare<[string], { count: number }>(
      "SELECT count(*) AS count FROM messages WHERE status = 'pending' AND type = 'PROGRAM' AND " +
        "CASE WHEN sender LIKE '0x%' THEN lower(sender) ELSE sender END = ?",
    ),
    storedBytesOf: database.prepare<[string], { bytes: number | null }>(
      'SELECT sum(size_bytes) AS bytes FROM (SELECT DISTINCT file_hash, size_bytes FROM stores WHERE address = ?)',
    ),
    usersOf: database.prepare<[string], Row>('SELECT item_hash FROM program_refs WHERE ref = ?'),
    replacementsOf: database.prepare<[string], Row>('SELECT item_hash FROM programs WHERE replaces = ?'),
    insertStore: database.prepare<[string, string, string, number, string, number, number]>(
      'INSERT INTO stores (item_hash, address, file_hash, size_bytes, tag, is_update, time) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    insertProgram: database.prepare<[string, string, string | null, number]>(
      'INSERT INTO programs (item_hash, address, replaces, time) VALUES (?, ?, ?, ?)',
    ),
    insertRef: database.prepare<[string, string]>('INSERT INTO program_refs (item_hash, ref) VALUES (?, ?)'),
    insertForget: database.prepare<[string, string]>(
      'INSERT OR IGNORE INTO forgets (target, forgotten_by) VALUES (?, ?)',
    ),
    skeleton: database.prepare<[string, string]>(
      'UPDATE messages SET status = ?, item_content = NULL, content = NULL WHERE item_hash = ?',
    ),
    deleteStore: database.prepare<[string]>('DELETE FROM stores WHERE item_hash = ?'),
    deleteProgram: database.prepare<[string]>('DELETE FROM programs WHERE item_hash = ?'),
    instance: database.prepare<[string], Row>(
      'SELECT messages.* FROM messages JOIN instances USING (item_hash) WHERE item_hash = ?',
    ),
    instances: database.prepare<[], Row>(
      'SELECT messages.* FROM messages JOIN instances USING (item_hash) ORDER BY position',
    ),
    usersOfLatest: database.prepare<[string, string], Row>(`
      SELECT * FROM messages WHERE item_hash IN (
        SELECT item_hash FROM program_refs WHERE ref = ? AND use_latest = 1
        UNION SELECT item_hash FROM instance_refs WHERE ref = ? AND use_latest = 1) ORDER BY position`),
    replacementOf: database.prepare<[string, string], Row>(`
      SELECT messages.* FROM messages JOIN (
        SELECT item_hash, time AS signed FROM programs WHERE replaces = ?
        UNION ALL SELECT item_hash, time FROM instances WHERE replaces = ?) USING (item_hash)
      ORDER BY signed DESC, item_hash LIMIT 1`),
    deleteInstance: database.prepare<[string]>('DELETE FROM instances WHERE item_hash = ?'),
    aggregates: database.prepare<[string], AggregateColumns>('SELECT * FROM aggregates WHERE address = ? ORDER BY key'),
    aggregate: database.prepare<[string, string], AggregateColumns>(
      'SELECT * FROM aggregates WHERE address = ? AND key = ?',
    ),
    forgottenBy: database.prepare<[string], { forgotten_by: ItemHash }>(
      'SELECT forgotten_by FROM forgets WHERE target = ? ORDER BY rowid',
    ),
  };
}
