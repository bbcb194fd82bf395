import type { ItemHash } from '@vmlet/messages';
import { addressKey } from '../address-key.ts';
import type { MachineRow } from '../apply/tables.ts';
import type { AnyProcessedMessage, InstanceRecord, ProgramRecord } from '../records.ts';
import type { LedgerDatabase } from './ledger-database.ts';
import { messageOf, type Row } from './rows.ts';

/** The PROGRAMs and INSTANCEs in force, and the STOREs that they use. */
export class MachineTable {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: LedgerDatabase) {
    this.#statements = prepare(database);
  }

  program(itemHash: string): ProgramRecord | undefined {
    return asProgram(messageOf(this.#statements.program.get(itemHash)));
  }

  /** The programs in force, oldest first. */
  programs(): ProgramRecord[] {
    return this.#statements.programs.all().flatMap((row) => asProgram(messageOf(row)) ?? []);
  }

  /** The programs of an address, and how many of them wait for something. */
  programsOf(address: string): { programs: ItemHash[]; pendingPrograms: number } {
    const key = addressKey(address);
    return {
      programs: this.#statements.programsOf.all(key).map((row) => row.item_hash),
      pendingPrograms: this.#statements.pendingProgramsOf.get(key)?.count ?? 0,
    };
  }

  instance(itemHash: string): InstanceRecord | undefined {
    return asInstance(messageOf(this.#statements.instance.get(itemHash)));
  }

  /** The instances in force, oldest first. */
  instances(): InstanceRecord[] {
    return this.#statements.instances.all().flatMap((row) => asInstance(messageOf(row)) ?? []);
  }

  /** The programs and instances that name a STORE. */
  using(ref: string): string[] {
    return this.#statements.using.all(ref, ref).map((row) => row.item_hash);
  }

  /** Those that use the newest STORE under a tag. */
  usingLatest(tag: string): (ProgramRecord | InstanceRecord)[] {
    return this.#statements.usingLatest.all(tag, tag).flatMap((row) => asMachine(messageOf(row)) ?? []);
  }

  /** The newest program or instance in force that replaces one. */
  replacementOf(itemHash: string): ProgramRecord | InstanceRecord | undefined {
    return asMachine(messageOf(this.#statements.replacementOf.get(itemHash, itemHash)));
  }

  insert({ type, itemHash, address, replaces, time, refs }: MachineRow): void {
    const { insert, insertRef } = this.#statements.of[type];
    insert.run(itemHash, addressKey(address), replaces ?? null, time);
    for (const { ref, useLatest } of refs) insertRef.run(itemHash, ref, useLatest ? 1 : 0);
  }

  drop(itemHash: string): void {
    this.#statements.of.PROGRAM.drop.run(itemHash);
    this.#statements.of.INSTANCE.drop.run(itemHash);
  }
}

function asProgram(message: AnyProcessedMessage | undefined): ProgramRecord | undefined {
  return message?.type === 'PROGRAM' ? message : undefined;
}

function asInstance(message: AnyProcessedMessage | undefined): InstanceRecord | undefined {
  return message?.type === 'INSTANCE' ? message : undefined;
}

function asMachine(message: AnyProcessedMessage | undefined): ProgramRecord | InstanceRecord | undefined {
  return asProgram(message) ?? asInstance(message);
}

function prepare(database: LedgerDatabase) {
  // CROSS JOIN and +position keep SQLite from going through all messages in order, to save sorting a few.
  const all = (table: string) =>
    database.prepare<[], Row>(`
      SELECT messages.* FROM ${table} CROSS JOIN messages USING (item_hash) ORDER BY +position`);
  const one = (table: string) =>
    database.prepare<[string], Row>(
      `SELECT messages.* FROM messages JOIN ${table} USING (item_hash) WHERE item_hash = ?`,
    );
  return {
    program: one('programs'),
    programs: all('programs'),
    instance: one('instances'),
    instances: all('instances'),
    programsOf: database.prepare<[string], { item_hash: ItemHash }>('SELECT item_hash FROM programs WHERE address = ?'),
    // In whose name they are is known once they are applied; until then their content says so, if it is here.
    pendingProgramsOf: database.prepare<[string], { count: number }>(`
      SELECT count(*) AS count FROM (
        SELECT coalesce(item_content ->> '$.address', sender) AS owner
        FROM messages WHERE status = 'pending' AND type = 'PROGRAM'
      ) WHERE CASE WHEN owner LIKE '0x%' THEN lower(owner) ELSE owner END = ?`),
    using: database.prepare<[string, string], Row>(`
      SELECT item_hash FROM program_refs WHERE ref = ? UNION SELECT item_hash FROM instance_refs WHERE ref = ?`),
    usingLatest: database.prepare<[string, string], Row>(`
      SELECT * FROM messages WHERE item_hash IN (
        SELECT item_hash FROM program_refs WHERE ref = ? AND use_latest = 1
        UNION SELECT item_hash FROM instance_refs WHERE ref = ? AND use_latest = 1) ORDER BY +position`),
    replacementOf: database.prepare<[string, string], Row>(`
      SELECT messages.* FROM messages JOIN (
        SELECT item_hash, time AS signed FROM programs WHERE replaces = ?
        UNION ALL SELECT item_hash, time FROM instances WHERE replaces = ?) USING (item_hash)
      ORDER BY signed DESC, item_hash LIMIT 1`),
    of: {
      PROGRAM: writers(database, { table: 'programs', refs: 'program_refs' }),
      INSTANCE: writers(database, { table: 'instances', refs: 'instance_refs' }),
    },
  };
}

function writers(database: LedgerDatabase, { table, refs }: { table: string; refs: string }) {
  return {
    insert: database.prepare<[string, string, string | null, number]>(
      `INSERT INTO ${table} (item_hash, address, replaces, time) VALUES (?, ?, ?, ?)`,
    ),
    insertRef: database.prepare<[string, string, number]>(
      `INSERT INTO ${refs} (item_hash, ref, use_latest) VALUES (?, ?, ?)`,
    ),
    drop: database.prepare<[string]>(`DELETE FROM ${table} WHERE item_hash = ?`),
  };
}
