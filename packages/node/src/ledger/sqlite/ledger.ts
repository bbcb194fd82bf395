import type { ItemHash } from '@vmlet/messages';
import type { ContentStore } from '../../content/index.ts';
import { VmletError } from '../../errors.ts';
import { failpoint } from '../../failpoint.ts';
import { addressKey } from '../address-key.ts';
import { denialOf, isEarlyAmend } from '../apply/apply.ts';
import type { Wait } from '../apply/outcome.ts';
import { type Examined, examine } from '../check/examine.ts';
import { topicOf } from '../check/permission.ts';
import type { LedgerEvent, LedgerListener } from '../events.ts';
import { gatherFacts } from '../facts.ts';
import type { Acceptance, BulkResult, CheckedMessage, Ledger } from '../log.ts';
import { createIndexWriter } from '../query/index-writer.ts';
import { loadInBulk } from './bulk.ts';
import { type Change, CommitQueue, type Committed } from './commit-queue.ts';
import { IndexTables } from './index-tables.ts';
import { type Bounds, Intake, type State } from './intake.ts';
import type { LedgerDatabase } from './ledger-database.ts';
import { MessageTable } from './message-table.ts';
import { Reads } from './reads.ts';
import { Removal } from './removal.ts';
import { Retries, retryDelayMs } from './retries.ts';
import { envelopeOf, reasonOf } from './rows.ts';

/** What the ledger needs. It does not close the database. */
export interface LedgerComponents {
  database: LedgerDatabase;
  content: ContentStore;
  /** Told of what a subscriber threw, which it must not, and of what failed while nobody waited for it. */
  onListenerError: (error: unknown) => void;
  /** Whether this node has something else to run in the place of a runtime that it lacks; by default it has nothing. */
  standIn?: ((ref: string) => boolean) | undefined;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** What is kept of messages that are not in force. */
  bounds?: Partial<Bounds>;
  /** How long to wait before try number `n`, in milliseconds. */
  delayMs?: (n: number) => number;
}

/** Files of 200,000 characters would fill a disk fast; most messages that wait are small. */
const BOUNDS: Bounds = {
  rejected: 1000,
  pending: 20_000,
  pendingBytes: 256 * 1024 * 1024,
  pendingOfSender: 1000,
  pendingBytesOfSender: 32 * 1024 * 1024,
};
/** So many are handled between two looks at what else there is to do. */
const CHUNK = 500;

/** Opens the ledger in SQLite, settles what became possible while no process ran, and listens for new files. */
export async function openLedger(components: LedgerComponents): Promise<Ledger> {
  const ledger = new SqliteLedger(components);
  try {
    await ledger.catchUp();
  } catch (error) {
    ledger[Symbol.dispose]();
    throw error;
  }
  return ledger;
}

class SqliteLedger extends Reads implements Ledger {
  readonly #components: LedgerComponents;
  readonly #messages: MessageTable;
  readonly #index: IndexTables;
  readonly #intake: Intake;
  readonly #removal: Removal;
  readonly #queue: CommitQueue;
  readonly #retries: Retries;
  readonly #listeners = new Set<LedgerListener>();
  /** By what `check` answered: the signature is the costly part, and is checked once. */
  readonly #examined = new WeakMap<object, Examined>();
  readonly #unsubscribe: () => void;

  constructor(components: LedgerComponents) {
    const { database, content, now = Date.now, delayMs = retryDelayMs, onListenerError: onError } = components;
    const [messages, index] = [new MessageTable(database), new IndexTables(database, components)];
    super(messages, index);
    this.#components = components;
    this.#messages = messages;
    this.#index = index;
    const parts = { messages, index, now };
    this.#intake = new Intake({ ...parts, delayMs, bounds: { ...BOUNDS, ...components.bounds } });
    this.#removal = new Removal(parts);
    const writer = createIndexWriter(database);
    this.#queue = new CommitQueue(database, {
      beforeCommit: () => writer.renew(),
      tell: (event) => this.#tell(event),
    });
    const run = async () => await this.#settle(messages.due(now(), { limit: CHUNK }), { counted: true });
    this.#retries = new Retries({ nextDueMs: () => messages.nextDueMs(), now, run, onError });
    this.#unsubscribe = content.subscribe(({ fileHash }) => this.#arrived({ kind: 'file', wanted: fileHash }));
  }

  check(message: unknown): CheckedMessage {
    const examined = examine(message);
    const { envelope, content, unsigned } = examined;
    const checked = { envelope, content, rejection: unsigned ?? this.#denial({ envelope, content }) };
    this.#examined.set(checked, examined);
    return checked;
  }

  async accept(message: unknown): Promise<Acceptance> {
    const known = typeof message === 'object' && message !== null ? this.#examined.get(message) : undefined;
    const examined = known ?? examine(message);
    const itemHash = examined.envelope.item_hash;
    const state = await this.#take(examined);
    if (state.status !== 'pending') return { itemHash, ...state };
    // The file may have come between the look at the disk and the record of the wait.
    if (await this.#hasWantedFile(itemHash)) await this.#settle([itemHash]);
    const present = this.#stateOf(itemHash);
    return { itemHash, ...(present ?? state) };
  }

  async bulk(
    messages: Iterable<unknown> | AsyncIterable<unknown>,
    { verified = false }: { verified?: boolean } = {},
  ): Promise<BulkResult> {
    const take = async (chunk: Examined[]) => {
      const facts = await Promise.all(chunk.map((one) => this.#factsOf(one)));
      const changes = chunk.map((one, index): Change<State> => {
        const known = facts[index];
        if (known === undefined) throw new Error('Cannot load: facts are missing, expected some of each message');
        return () => this.#intake.record(one, known, { unbounded: true });
      });
      const committed = await this.#queue.runTogether(changes);
      await this.#follow(committed);
      return committed.map(({ value }) => value);
    };
    return await loadInBulk(messages, { verified, take });
  }

  async startRemoving(itemHash: string, { reason }: { reason: string }): Promise<boolean> {
    return await this.#change(() => this.#removal.start(itemHash, { reason }));
  }

  async restore(itemHash: string): Promise<boolean> {
    return await this.#change(() => this.#removal.restore(itemHash));
  }

  async remove(itemHash: string): Promise<boolean> {
    return await this.#change(() => this.#removal.remove(itemHash));
  }

  async standInChanged(ref: string, { by }: { by: ItemHash }): Promise<void> {
    this.#tell({ type: 'updated', itemHash: by, refs: [ref] });
    await this.#arrived({ kind: 'message', wanted: ref });
  }

  subscribe(listener: LedgerListener): () => void {
    const entry: LedgerListener = (event) => listener(event);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** Brings lists up to date after a migration, and tries every pending message: files may have come meanwhile. */
  async catchUp(): Promise<void> {
    await this.#queue.run(() => ({ events: [], value: undefined }));
    await this.#settle(this.#messages.pending());
    this.#retries.arm();
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#retries[Symbol.dispose]();
    this.#listeners.clear();
  }

  async #take(examined: Examined): Promise<State> {
    const facts = await this.#factsOf(examined);
    await failpoint('message.checked');
    const committed = await this.#queue.run(() => this.#intake.record(examined, facts));
    await failpoint('message.recorded');
    await this.#follow([committed]);
    return committed.value;
  }

  async #factsOf({ envelope, content: parsed }: Pick<Examined, 'envelope' | 'content'>) {
    return await gatherFacts(envelope, { content: this.#components.content, parsed });
  }

  #denial({ envelope, content }: Pick<Examined, 'envelope' | 'content'>) {
    const within = content && { content, tables: this.#index };
    if (within === undefined || isEarlyAmend(envelope, within)) return undefined;
    return denialOf(envelope, within);
  }

  async #change<T>(change: Change<T>): Promise<T> {
    const committed = await this.#queue.run(change);
    await this.#follow([committed]);
    return committed.value;
  }

  /** Settles what waited for what was put in force. */
  async #follow(committed: readonly Committed<unknown>[]): Promise<void> {
    const events = committed.flatMap((one) => one.events);
    if (events.some(({ type }) => type === 'pending')) this.#retries.arm();
    for (const event of events) {
      for (const wait of arrivalsIn(event)) await this.#arrived(wait);
    }
  }

  async #arrived(wait: Wait): Promise<void> {
    await this.#settle(this.#messages.waitingFor(wait));
  }

  async #hasWantedFile(itemHash: ItemHash): Promise<boolean> {
    for (const wanted of this.#messages.filesWantedBy(itemHash)) {
      if (await this.#components.content.has(wanted)) return true;
    }
    return false;
  }

  async #settle(itemHashes: readonly string[], options: { counted?: boolean } = {}): Promise<void> {
    for (let start = 0; start < itemHashes.length; start += CHUNK) {
      const chunk = itemHashes.slice(start, start + CHUNK);
      const committed = await Promise.all(chunk.map((itemHash) => this.#settleOne(itemHash, options)));
      await this.#follow(committed.filter((one) => one !== undefined));
    }
  }

  async #settleOne(itemHash: string, options: { counted?: boolean }): Promise<Committed<State> | undefined> {
    const row = this.#messages.find(itemHash);
    if (row?.status !== 'pending') return undefined;
    const facts = await this.#factsOf({ envelope: envelopeOf(row), content: undefined });
    try {
      return await this.#queue.run(() => this.#intake.settle(row.item_hash, facts, options));
    } catch (error) {
      // Of the disk: whoever asked for it is told, and the message waits on.
      if (error instanceof VmletError) throw error;
      return await this.#queue.run(() => this.#intake.fail(row.item_hash, facts, { error }));
    }
  }

  #stateOf(itemHash: string): State | undefined {
    const row = this.#messages.find(itemHash);
    return row && { status: row.status, reason: reasonOf(row) };
  }

  #tell(event: LedgerEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.#components.onListenerError(error);
      }
    }
  }
}

/** What may be waited for and is there now. */
function arrivalsIn(event: LedgerEvent): Wait[] {
  if (event.type !== 'processed' && event.type !== 'forgotten') return [];
  const arrivals: Wait[] = [{ kind: 'message', wanted: event.itemHash }];
  const { type, content } = event.message;
  if (type === 'AGGREGATE') {
    arrivals.push({ kind: 'aggregate', wanted: `${addressKey(content.address)}/${topicOf(content)}` });
  }
  return arrivals;
}
