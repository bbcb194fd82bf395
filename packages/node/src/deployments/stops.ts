import type { ItemHash } from '@vmlet/messages';
import { VmletError } from '../errors.ts';
import { transact } from '../store/index.ts';
import type { DeploymentsDatabase } from './name-tables.ts';

/** The programs that their owners have stopped: they get no machine until they are started again. Survives the node. */
export class Stops {
  readonly #database: DeploymentsDatabase;
  readonly #stopped: Set<string>;

  constructor(database: DeploymentsDatabase) {
    this.#database = database;
    const rows = database.prepare<[], { item_hash: string }>('SELECT item_hash FROM stopped_programs').all();
    this.#stopped = new Set(rows.map((row) => row.item_hash));
  }

  has(itemHash: ItemHash): boolean {
    return this.#stopped.has(itemHash);
  }

  /** @throws VmletError `PROGRAM_STOPPED` */
  refuse(itemHash: ItemHash): void {
    if (this.#stopped.has(itemHash)) throw new VmletError('PROGRAM_STOPPED', { operands: { itemHash } });
  }

  /** Stops a program that is in force. Doing it again changes nothing. */
  add(itemHash: ItemHash, { nowMs }: { nowMs: number }): void {
    const sql = 'INSERT OR IGNORE INTO stopped_programs (item_hash, stopped_ms) VALUES (?, ?)';
    transact(this.#database, () => this.#database.prepare(sql).run(itemHash, nowMs));
    this.#stopped.add(itemHash);
  }

  /** Lets a program run again; whether it was stopped. */
  delete(itemHash: ItemHash): boolean {
    const sql = 'DELETE FROM stopped_programs WHERE item_hash = ?';
    transact(this.#database, () => this.#database.prepare(sql).run(itemHash));
    return this.#stopped.delete(itemHash);
  }

  /** A program is forgotten: its row went with it. */
  forget(itemHash: ItemHash): void {
    this.#stopped.delete(itemHash);
  }
}
