import type { ItemHash } from '@vmlet/messages';
import { type openDatabase, transact } from '../store/index.ts';

/** The database that deliveries live in: node.db, migrated. */
export type TriggersDatabase = ReturnType<typeof openDatabase>;

/** Deliveries of one program that wait; what comes beyond is dead from the start. */
const MAX_WAITING_PER_PROGRAM = 100_000;
/** Dead letters of one program that are kept, the newest. */
const MAX_DEAD_PER_PROGRAM = 1000;

/** A message that a program has not confirmed yet. */
export interface Delivery {
  readonly id: number;
  /** The original of the program and its replacements. */
  readonly program: ItemHash;
  /** item_hash of the message. */
  readonly message: ItemHash;
  readonly state: 'waiting' | 'dead';
  /** How often the program was asked. */
  readonly tries: number;
  /** Not before; in milliseconds since 1970. */
  readonly dueMs: number;
  readonly createdMs: number;
  /** Why the last try failed; null before the first. */
  readonly failure: string | null;
}

/** How many deliveries a program has. */
export interface DeliveryCounts {
  readonly program: ItemHash;
  readonly waiting: number;
  readonly dead: number;
}

/** What matching has found of one message. */
export interface Match {
  readonly message: ItemHash;
  readonly seq: number;
  readonly programs: readonly ItemHash[];
}

/** The rows of deliveries, and the cursor. Each call is a transaction of its own. */
export class DeliveryTable {
  readonly #database: TriggersDatabase;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: TriggersDatabase) {
    this.#database = database;
    this.#statements = prepare(database);
  }

  /** Up to which message programs have been told; undefined on a home that never had triggers. */
  cursor(): number | undefined {
    return this.#statements.cursor.get()?.seq;
  }

  /**
   * Records what was matched together with how far that went, or nothing of it.
   * @throws VmletError `STORAGE_FULL`, `STORAGE_FAILED`
   */
  advance(seq: number, { matches, nowMs }: { matches: readonly Match[]; nowMs: number }): void {
    transact(this.#database, () => {
      const { count, insert, setCursor } = this.#statements;
      for (const { message, seq: of, programs } of matches) {
        for (const program of programs) {
          const isFull = (count.get(program, 'waiting')?.count ?? 0) >= MAX_WAITING_PER_PROGRAM;
          const failure = isFull ? `${MAX_WAITING_PER_PROGRAM} messages waited for the program` : null;
          insert.run({ program, message, seq: of, state: isFull ? 'dead' : 'waiting', nowMs, failure });
          if (isFull) this.#prune(program);
        }
      }
      setCursor.run(seq);
    });
  }

  /** Waiting deliveries of a program that are due, the longest due first; without those that are under way. */
  due(
    program: ItemHash,
    { nowMs, limit, but }: { nowMs: number; limit: number; but: ReadonlySet<number> },
  ): Delivery[] {
    const rows = this.#statements.due.all(program, nowMs, limit + but.size);
    return rows.filter(({ id }) => !but.has(id)).slice(0, limit);
  }

  /** Programs with a delivery that is due. */
  duePrograms(nowMs: number): ItemHash[] {
    return this.#statements.duePrograms.all(nowMs).map(({ program }) => program);
  }

  /** When the next delivery behind `nowMs` is due; undefined if there is none. */
  nextDueMs(nowMs: number): number | undefined {
    return this.#statements.nextDue.get(nowMs)?.due ?? undefined;
  }

  /** The program has confirmed it, or there is nothing to deliver any more. */
  remove(id: number): void {
    this.#statements.remove.run(id);
  }

  /** It is tried again at `dueMs`. */
  postpone(id: number, next: { tries: number; dueMs: number; failure: string }): void {
    this.#statements.postpone.run({ id, ...next });
  }

  /** It is not tried again by itself. */
  bury({ id, program }: Delivery, { tries, failure }: { tries: number; failure: string }): void {
    transact(this.#database, () => {
      this.#statements.bury.run({ id, tries, failure });
      this.#prune(program);
    });
  }

  /** A dead letter waits again, from its first try on. False if there is none of that id. */
  revive(id: number, nowMs: number): boolean {
    return this.#statements.revive.run({ id, nowMs }).changes > 0;
  }

  /** All dead letters wait again, of a program or of all. Gives the program of each. */
  reviveAll(program: ItemHash | undefined, nowMs: number): ItemHash[] {
    const { reviveAll, reviveOf } = this.#statements;
    const rows = program === undefined ? reviveAll.all(nowMs) : reviveOf.all(nowMs, program);
    return rows.map((row) => row.program);
  }

  /** Deliveries in a state, of a program or of all, the oldest first. */
  list(state: Delivery['state'], { program, limit }: { program?: ItemHash | undefined; limit: number }): Delivery[] {
    const { listAll, listOf } = this.#statements;
    return program === undefined ? listAll.all(state, limit) : listOf.all(program, state, limit);
  }

  find(id: number): Delivery | undefined {
    return this.#statements.find.get(id);
  }

  counts(): DeliveryCounts[] {
    return this.#statements.counts.all();
  }

  #prune(program: ItemHash): void {
    this.#statements.prune.run({ program, kept: MAX_DEAD_PER_PROGRAM });
  }
}

const COLUMNS = 'id, program, message, state, tries, due_ms AS dueMs, created_ms AS createdMs, failure';

const REVIVE = "UPDATE trigger_deliveries SET state = 'waiting', tries = 0, due_ms = ? WHERE state = 'dead'";

function prepare(database: TriggersDatabase) {
  return {
    cursor: database.prepare<[], { seq: number }>('SELECT seq FROM trigger_cursor'),
    setCursor: database.prepare<[number]>(
      'INSERT INTO trigger_cursor (id, seq) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET seq = max(seq, excluded.seq)',
    ),
    // A program that was forgotten meanwhile has no row to refer to.
    insert: database.prepare<
      [{ program: string; message: string; seq: number; state: string; nowMs: number; failure: string | null }]
    >(
      `INSERT OR IGNORE INTO trigger_deliveries (program, message, seq, state, due_ms, created_ms, failure)
       SELECT item_hash, :message, :seq, :state, :nowMs, :nowMs, :failure FROM programs WHERE item_hash = :program`,
    ),
    count: database.prepare<[string, string], { count: number }>(
      'SELECT count(*) AS count FROM trigger_deliveries WHERE program = ? AND state = ?',
    ),
    due: database.prepare<[string, number, number], Delivery>(
      `SELECT ${COLUMNS} FROM trigger_deliveries
       WHERE program = ? AND state = 'waiting' AND due_ms <= ? ORDER BY due_ms, id LIMIT ?`,
    ),
    duePrograms: database.prepare<[number], { program: ItemHash }>(
      "SELECT DISTINCT program FROM trigger_deliveries WHERE state = 'waiting' AND due_ms <= ?",
    ),
    nextDue: database.prepare<[number], { due: number | null }>(
      "SELECT min(due_ms) AS due FROM trigger_deliveries WHERE state = 'waiting' AND due_ms > ?",
    ),
    remove: database.prepare<[number]>('DELETE FROM trigger_deliveries WHERE id = ?'),
    postpone: database.prepare<[{ id: number; tries: number; dueMs: number; failure: string }]>(
      'UPDATE trigger_deliveries SET tries = :tries, due_ms = :dueMs, failure = :failure WHERE id = :id',
    ),
    bury: database.prepare<[{ id: number; tries: number; failure: string }]>(
      "UPDATE trigger_deliveries SET state = 'dead', tries = :tries, failure = :failure WHERE id = :id",
    ),
    revive: database.prepare<[{ id: number; nowMs: number }]>(
      "UPDATE trigger_deliveries SET state = 'waiting', tries = 0, due_ms = :nowMs WHERE id = :id AND state = 'dead'",
    ),
    reviveAll: database.prepare<[number], { program: ItemHash }>(`${REVIVE} RETURNING program`),
    reviveOf: database.prepare<[number, string], { program: ItemHash }>(`${REVIVE} AND program = ? RETURNING program`),
    listAll: database.prepare<[string, number], Delivery>(
      `SELECT ${COLUMNS} FROM trigger_deliveries WHERE state = ? ORDER BY id LIMIT ?`,
    ),
    listOf: database.prepare<[string, string, number], Delivery>(
      `SELECT ${COLUMNS} FROM trigger_deliveries WHERE program = ? AND state = ? ORDER BY id LIMIT ?`,
    ),
    find: database.prepare<[number], Delivery>(`SELECT ${COLUMNS} FROM trigger_deliveries WHERE id = ?`),
    counts: database.prepare<[], DeliveryCounts>(
      `SELECT program, sum(state = 'waiting') AS waiting, sum(state = 'dead') AS dead
       FROM trigger_deliveries GROUP BY program ORDER BY min(id)`,
    ),
    prune: database.prepare<[{ program: string; kept: number }]>(
      `DELETE FROM trigger_deliveries WHERE program = :program AND state = 'dead' AND id NOT IN
       (SELECT id FROM trigger_deliveries WHERE program = :program AND state = 'dead' ORDER BY id DESC LIMIT :kept)`,
    ),
  };
}
