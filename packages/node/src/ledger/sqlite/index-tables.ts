import type { ItemHash } from '@vmlet/messages';
import type {
  ElementRow,
  Forgotten,
  LedgerTables,
  MachineRow,
  MessageRow,
  PostRow,
  StoreRow,
} from '../apply/tables.ts';
import { SECURITY_KEY } from '../check/permission.ts';
import { transition } from '../state.ts';
import { AggregateTable } from './aggregate-table.ts';
import type { LedgerDatabase } from './ledger-database.ts';
import { MachineTable } from './machine-table.ts';
import { PostTable } from './post-table.ts';
import { messageOf, type Row } from './rows.ts';
import { StoreTable } from './store-table.ts';

/** The index of what is in force, as the rules see it, and who forgot what. */
export class IndexTables implements LedgerTables {
  readonly stores: StoreTable;
  readonly machines: MachineTable;
  readonly posts: PostTable;
  readonly aggregates: AggregateTable;
  readonly #statements: ReturnType<typeof prepare>;

  readonly #standIn: (ref: string) => boolean;

  constructor(database: LedgerDatabase, { standIn }: { standIn?: ((ref: string) => boolean) | undefined } = {}) {
    this.stores = new StoreTable(database);
    this.machines = new MachineTable(database);
    this.posts = new PostTable(database);
    this.aggregates = new AggregateTable(database);
    this.#statements = prepare(database);
    this.#standIn = standIn ?? (() => false);
  }

  standIn(ref: string): boolean {
    return this.#standIn(ref);
  }

  message(itemHash: string): MessageRow | undefined {
    const row = this.#statements.message.get(itemHash);
    if (row === undefined) return undefined;
    const { status, type, address, channel, topic, updates, allow_amend } = row;
    const known = { address: address ?? undefined, channel: channel ?? undefined, topic: topic ?? undefined };
    return { status, type, ...known, updates: updates ?? undefined, allowAmend: allow_amend === 1 };
  }

  forgottenBy(itemHash: string): ItemHash[] {
    return this.#statements.forgottenBy.all({ target: itemHash }).map((row) => row.forgotten_by);
  }

  updatesOf(itemHash: string): string[] {
    return this.#statements.updatesOf.all(itemHash).map((row) => row.item_hash);
  }

  store(itemHash: string): StoreRow | undefined {
    return this.stores.find(itemHash);
  }

  latest(tag: string): StoreRow | undefined {
    return this.stores.latest(tag);
  }

  machinesUsing(ref: string): string[] {
    return this.machines.using(ref);
  }

  security(owner: string): unknown {
    const authorizations = this.aggregates.member(owner, { key: SECURITY_KEY, name: 'authorizations' });
    return authorizations === undefined ? undefined : { authorizations };
  }

  elements(owner: string, options: { key: string; until: number }): string[] {
    return this.aggregates.elements(owner, options);
  }

  hasHadAggregate(owner: string, key: string): boolean {
    return this.aggregates.hasHad(owner, key);
  }

  keyForgottenBy(owner: string, options: { key: string; since: number }): ItemHash[] {
    return this.aggregates.keyForgottenBy(owner, options);
  }

  insertStore(row: StoreRow): void {
    this.stores.insert(row);
  }

  insertMachine(row: MachineRow): void {
    this.machines.insert(row);
  }

  insertPost(row: PostRow): void {
    this.posts.insert(row);
  }

  insertElement(row: ElementRow): void {
    this.aggregates.insert(row);
  }

  insertKeyForget(owner: string, options: { key: string; time: number; by: ItemHash }): void {
    this.aggregates.insertKeyForget(owner, options);
  }

  forget(itemHash: string, { by }: { by: ItemHash }): Forgotten {
    const row = this.#statements.row.get(itemHash);
    if (row === undefined) return { message: undefined, updatedRefs: [] };
    this.recordForget(itemHash, { by });
    if (row.status === 'forgotten') return { message: undefined, updatedRefs: [] };
    const message = messageOf(row);
    this.#statements.skeleton.run(transition(row.status, 'forgotten', { itemHash }), itemHash);
    return { message, updatedRefs: this.drop(itemHash) };
  }

  /** Notes that a FORGET names a message. */
  recordForget(itemHash: string, { by }: { by: ItemHash }): void {
    this.#statements.insertForget.run(itemHash, by);
  }

  /**
   * Takes a message out of the index; `rebuildAggregates` MUST follow.
   * @returns refs that lead to another message now
   */
  drop(itemHash: string): string[] {
    const { type, updates } = this.#statements.row.get(itemHash) ?? {};
    switch (type) {
      case 'STORE':
        return [this.stores.drop(itemHash) ?? []].flat();
      case 'PROGRAM':
      case 'INSTANCE':
        this.machines.drop(itemHash);
        return [updates ?? []].flat();
      case 'POST':
        this.posts.drop(itemHash);
        return [];
      case 'AGGREGATE':
        this.aggregates.drop(itemHash);
        return [];
      default:
        return [];
    }
  }

  rebuildAggregates(): void {
    this.aggregates.rebuild();
  }
}

function prepare(database: LedgerDatabase) {
  return {
    message: database.prepare<[string], Row>(
      'SELECT status, type, address, channel, topic, updates, allow_amend FROM messages WHERE item_hash = ?',
    ),
    row: database.prepare<[string], Row>('SELECT * FROM messages WHERE item_hash = ?'),
    updatesOf: database.prepare<[string], Row>(
      "SELECT item_hash FROM messages WHERE updates = ? AND type <> 'STORE' ORDER BY item_hash",
    ),
    insertForget: database.prepare<[string, string]>(
      'INSERT OR IGNORE INTO forgets (target, forgotten_by) VALUES (?, ?)',
    ),
    skeleton: database.prepare<[string, string]>(
      'UPDATE messages SET status = ?, item_content = NULL, content = NULL WHERE item_hash = ?',
    ),
    // By the time that was signed, so that all nodes tell them in one order; those of its key, too, before or after it came.
    forgottenBy: database.prepare<[{ target: string }], { forgotten_by: ItemHash }>(`
      SELECT forgotten_by FROM (
        SELECT forgotten_by FROM forgets WHERE target = @target
        UNION SELECT forgotten_by FROM messages AS element JOIN aggregate_forgets AS forget
          ON forget.key = topic AND forget.time >= signed_time AND forget.address =
            CASE WHEN element.address LIKE '0x%' AND length(element.address) = 42
              THEN lower(element.address) ELSE element.address END
          WHERE element.item_hash = @target AND type = 'AGGREGATE' AND status = 'forgotten')
      LEFT JOIN messages ON messages.item_hash = forgotten_by ORDER BY signed_time, forgotten_by`),
  };
}
