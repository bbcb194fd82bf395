import type { ItemHash } from '@vmlet/messages';
import { type openDatabase, transact } from '../store/index.ts';

/** The database that deliveries live in: node.db, migrated. */
export type TriggersDatabase = ReturnType<typeof openDatabase>;

/** Deliveries of one program that wait; what comes beyond is dead from the start. */
const MAX_WAITING_PER_PROGRAM = 100_000;
/** Dead letters of one program that are kept, the newest. */
const MAX_DEAD_PER_PROGRAM = 1000;
/** So many more may be there before they are looked through for the oldest ones. */
const MAX_DEAD_EXCESS = 100;

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

/** The rows of deliveries, and the cursor. Each call is a transaction of its own. There is one of it for a database. */
export class DeliveryTable {
  readonly #database: TriggersDatabase;
  readonly #statements: ReturnType<typeof prepare>;
  /** Counted here as well: counting a long backlog anew for each message would cost more than all the rest. */
  readonly #counts: Map<ItemHash, { waiting: number; dead: number }>;

  constructor(database: TriggersDatabase) {
    this.#database = database;
    this.#statements = prepare(database);
    this.#counts = new Map(this.counts().map(({ program, waiting, dead }) => [program, { waiting, dead }]));
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
    const added: { program: ItemHash; state: Delivery['state'] }[] = [];
    transact(this.#database, () => {
      const more = new Map<ItemHash, number>();
      for (const { message, seq: of, programs } of matches) {
        for (const program of programs) {
          const waiting = this.#countOf(program).waiting + (more.get(program) ?? 0);
          const state = waiting < MAX_WAITING_PER_PROGRAM ? 'waiting' : 'dead';
          const failure = state === 'dead' ? `${MAX_WAITING_PER_PROGRAM} messages waited for the program` : null;
          const { changes } = this.#statements.insert.run({ program, message, seq: of, state, nowMs, failure });
          if (changes === 0) continue;
          added.push({ program, state });
          if (state === 'waiting') more.set(program, (more.get(program) ?? 0) + 1);
        }
      }
      this.#statements.setCursor.run(seq);
    });
    for (const { program, state } of added) this.#countOf(program)[state]++;
    for (const program of new Set(added.map((one) => one.program))) this.#prune(program);
  }

  /** Waiting deliveries of a program that are due, the longest due first; without those that are under way. */
  due(
    program: ItemHash,
    { nowMs, limit, but }: { nowMs: number; limit: number; but: ReadonlySet<number> },
  ): Delivery[] {
    const rows = this.#statements.due.all(program, nowMs, limit + but.size);
    return rows.filter(({ id }) => !but.has(id)).slice(0, limit);
  }

  /** Programs with a delivery that has become due since `afterMs`. */
  duePrograms({ afterMs, nowMs }: { afterMs: number; nowMs: number }): ItemHash[] {
    return this.#statements.duePrograms.all(afterMs, nowMs).map(({ program }) => program);
  }

  /** When the next delivery behind `afterMs` is due; undefined if there is none. */
  nextDueMs(afterMs: number): number | undefined {
    return this.#statements.nextDue.get(afterMs)?.due ?? undefined;
  }

  /** The program has confirmed it, or there is nothing to deliver any more. */
  remove({ id, program }: Pick<Delivery, 'id' | 'program'>): void {
    if (this.#statements.remove.run(id).changes > 0) this.#countOf(program).waiting--;
  }

  /** It is tried again at `dueMs`. */
  postpone(id: number, next: { tries: number; dueMs: number; failure: string }): void {
    this.#statements.postpone.run({ id, ...next });
  }

  /** It is not tried again by itself. */
  bury({ id, program }: Delivery, { tries, failure }: { tries: number; failure: string }): void {
    if (this.#statements.bury.run({ id, tries, failure }).changes === 0) return;
    this.#moved(program, { from: 'waiting', to: 'dead' });
    this.#prune(program);
  }

  /** A dead letter waits again, from its first try on. Gives its program; undefined if there is none of that id. */
  revive(id: number, nowMs: number): ItemHash | undefined {
    const revived = this.#statements.revive.get({ id, nowMs })?.program;
    if (revived !== undefined) this.#moved(revived, { from: 'dead', to: 'waiting' });
    return revived;
  }

  /** All dead letters wait again, of a program or of all. Gives the program of each. */
  reviveAll(program: ItemHash | undefined, nowMs: number): ItemHash[] {
    const { reviveAll, reviveOf } = this.#statements;
    const rows = program === undefined ? reviveAll.all(nowMs) : reviveOf.all(nowMs, program);
    for (const row of rows) this.#moved(row.program, { from: 'dead', to: 'waiting' });
    return rows.map((row) => row.program);
  }

  /** Deliveries in a state, of a program or of all, the oldest first. */
  list(state: Delivery['state'], { program, limit }: { program?: ItemHash | undefined; limit: number }): Delivery[] {
    const { listAll, listOf } = this.#statements;
    return program === undefined ? listAll.all(state, limit) : listOf.all(program, state, limit);
  }

  /** What each program with deliveries has, the one with the oldest first. */
  counts(): DeliveryCounts[] {
    return this.#statements.counts.all();
  }

  #prune(program: ItemHash): void {
    const count = this.#countOf(program);
    if (count.dead <= MAX_DEAD_PER_PROGRAM + MAX_DEAD_EXCESS) return;
    count.dead -= this.#statements.prune.run({ program, kept: MAX_DEAD_PER_PROGRAM }).changes;
  }

  #moved(program: ItemHash, { from, to }: { from: Delivery['state']; to: Delivery['state'] }): void {
    const count = this.#countOf(program);
    count[from]--;
    count[to]++;
  }

  #countOf(program: ItemHash): { waiting: number; dead: number } {
    const known = this.#counts.get(program) ?? { waiting: 0, dead: 0 };
    this.#counts.set(program, known);
    return known;
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
    due: database.prepare<[string, number, number], Delivery>(
      `SELECT ${COLUMNS} FROM trigger_deliveries
       WHERE program = ? AND state = 'waiting' AND due_ms <= ? ORDER BY due_ms, id LIMIT ?`,
    ),
    duePrograms: database.prepare<[number, number], { program: ItemHash }>(
      "SELECT DISTINCT program FROM trigger_deliveries WHERE state = 'waiting' AND due_ms > ? AND due_ms <= ?",
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
    revive: database.prepare<[{ id: number; nowMs: number }], { program: ItemHash }>(
      `UPDATE trigger_deliveries SET state = 'waiting', tries = 0, due_ms = :nowMs
       WHERE id = :id AND state = 'dead' RETURNING program`,
    ),
    reviveAll: database.prepare<[number], { program: ItemHash }>(`${REVIVE} RETURNING program`),
    reviveOf: database.prepare<[number, string], { program: ItemHash }>(`${REVIVE} AND program = ? RETURNING program`),
    listAll: database.prepare<[string, number], Delivery>(
      `SELECT ${COLUMNS} FROM trigger_deliveries WHERE state = ? ORDER BY id LIMIT ?`,
    ),
    listOf: database.prepare<[string, string, number], Delivery>(
      `SELECT ${COLUMNS} FROM trigger_deliveries WHERE program = ? AND state = ? ORDER BY id LIMIT ?`,
    ),
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
