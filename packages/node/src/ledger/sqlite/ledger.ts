import type { Envelope, ItemHash } from '@vmlet/messages';
import type { ContentStore } from '../../content/index.ts';
import { failpoint } from '../../failpoint.ts';
import { transact } from '../../store/index.ts';
import { addressKey } from '../address-key.ts';
import { apply, type Facts } from '../apply/apply.ts';
import { examine } from '../check/examine.ts';
import { preferred } from '../check/prefer.ts';
import type { LedgerEvent, LedgerListener } from '../events.ts';
import { gatherFacts } from '../facts.ts';
import type { Acceptance, CheckedMessage, Ledger } from '../log.ts';
import { createIndexWriter, type IndexedRow, type IndexWriter } from '../query/index-writer.ts';
import type { Reason } from '../reason.ts';
import type {
  AggregateRecord,
  AnyProcessedMessage,
  Holdings,
  InstanceRecord,
  ProgramRecord,
  Sequenced,
  StoreRecord,
} from '../records.ts';
import { type MessageStatus, transition } from '../state.ts';
import {
  forgottenEnvelope,
  pendingEnvelope,
  processedEnvelope,
  rejectedEnvelope,
  removedEnvelope,
  removingEnvelope,
  type StatusEnvelope,
} from '../status-envelope.ts';
import { IndexTables } from './index-tables.ts';
import type { LedgerDatabase } from './ledger-database.ts';
import { MessageTable } from './message-table.ts';
import { envelopeOf, messageOf, type Row, reasonOf } from './rows.ts';

/** What the ledger needs. It does not close the database. */
export interface LedgerComponents {
  database: LedgerDatabase;
  content: ContentStore;
  /** Told of what a subscriber threw, which it must not. */
  onListenerError: (error: unknown) => void;
  /** Whether this node has something else to run in the place of a runtime that it lacks; by default it has nothing. */
  standIn?: ((ref: string) => boolean) | undefined;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** How many rejected messages are kept. */
  rejectedKept?: number;
}

const REJECTED_KEPT = 1000;

/** Opens the ledger in SQLite, settles what became possible while no process ran, and listens for new files. */
export async function openLedger(components: LedgerComponents): Promise<Ledger> {
  const ledger = new SqliteLedger(components);
  await ledger.settlePending();
  return ledger;
}

class SqliteLedger implements Ledger {
  readonly #components: LedgerComponents;
  readonly #messages: MessageTable;
  readonly #index: IndexTables;
  readonly #writer: IndexWriter;
  readonly #listeners = new Set<LedgerListener>();
  readonly #unsubscribe: () => void;

  constructor(components: LedgerComponents) {
    this.#components = components;
    this.#messages = new MessageTable(components.database);
    this.#index = new IndexTables(components.database, { standIn: components.standIn });
    this.#writer = createIndexWriter(components.database);
    this.#unsubscribe = components.content.subscribe(({ fileHash }) =>
      this.#settle(this.#messages.waitingFor({ kind: 'file', wanted: fileHash })),
    );
  }

  check(message: unknown): CheckedMessage {
    return examine(message);
  }

  async accept(message: unknown): Promise<Acceptance> {
    const checked = examine(message);
    const itemHash = checked.envelope.item_hash;
    const facts = await gatherFacts(checked.envelope, this.#components);
    await failpoint('message.checked');
    const { events, refused } = this.#immediate(() => this.#record(checked, facts));
    await failpoint('message.recorded');
    await this.#publish(events);
    if (refused !== undefined) return { itemHash, status: 'rejected', reason: refused };
    await this.#settleIfFileCame(itemHash);
    const row = this.#messages.find(itemHash);
    // Pruned at once when none are kept.
    if (row === undefined) return { itemHash, status: 'rejected', reason: checked.rejection };
    return { itemHash, status: row.status, reason: reasonOf(row) };
  }

  get(itemHash: string): StatusEnvelope | undefined {
    const row = this.#messages.find(itemHash);
    if (row === undefined) return undefined;
    const known = { envelope: envelopeOf(row), receivedMs: row.received_ms, reason: reasonOf(row) };
    if (row.status === 'pending') return pendingEnvelope(known);
    if (row.status === 'rejected') return rejectedEnvelope(known);
    const { content } = messageOf(row) ?? {};
    const { reason, removed_ms: removedMs } = row;
    if (content !== undefined && row.status === 'removing')
      return removingEnvelope(known, { content, reason: reason ?? '' });
    if (content !== undefined) return processedEnvelope(known, content);
    if (row.status === 'removed') return removedEnvelope(known, { removedMs: removedMs ?? 0, reason: reason ?? '' });
    return forgottenEnvelope(known, this.#index.forgottenBy(itemHash));
  }

  programs(): ProgramRecord[] {
    return this.#index.programs();
  }

  program(itemHash: string): ProgramRecord | undefined {
    return this.#index.program(itemHash);
  }

  store(itemHash: string, { latest = false }: { latest?: boolean } = {}): StoreRecord | undefined {
    const exact = this.#index.store(itemHash);
    const row = latest ? (this.#index.latest(itemHash) ?? exact) : exact;
    return row && this.#storeRecord(row);
  }

  storesOf(address: string): StoreRecord[] {
    return this.#index.storesOf(address).flatMap((row) => this.#storeRecord(row) ?? []);
  }

  holdingsOf(address: string): Holdings {
    return this.#index.holdingsOf(address);
  }

  instances(): InstanceRecord[] {
    return this.#index.instances();
  }

  instance(itemHash: string): InstanceRecord | undefined {
    return this.#index.instance(itemHash);
  }

  programsUsing(ref: string): (ProgramRecord | InstanceRecord)[] {
    return this.#index.usersOfLatest(ref);
  }

  replacementOf(itemHash: string): ProgramRecord | InstanceRecord | undefined {
    return this.#index.replacementOf(itemHash);
  }

  aggregate(address: string, keys?: readonly string[]): AggregateRecord[] {
    if (keys === undefined) return this.#index.aggregates(address);
    return [...new Set(keys)].sort().flatMap((key) => this.#index.aggregate(address, key) ?? []);
  }

  processedSince(seq: number, { limit }: { limit: number }): Sequenced[] {
    return this.#messages.since(seq, { limit }).flatMap((row) => sequenced(row) ?? []);
  }

  async startRemoving(itemHash: string, { reason }: { reason: string }): Promise<boolean> {
    return await this.#move(itemHash, { from: 'processed', to: 'removing', reason });
  }

  async restore(itemHash: string): Promise<boolean> {
    return await this.#move(itemHash, { from: 'removing', to: 'processed' });
  }

  async remove(itemHash: string): Promise<boolean> {
    return await this.#move(itemHash, { from: 'removing', to: 'removed' });
  }

  subscribe(listener: LedgerListener): () => void {
    const entry: LedgerListener = (event) => listener(event);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  async standInChanged(ref: string, { by }: { by: ItemHash }): Promise<void> {
    await this.#publish([{ type: 'updated', itemHash: by, refs: [ref] }]);
    await this.#settle(this.#messages.waitingFor({ kind: 'message', wanted: ref }));
  }

  /** Tries every pending message again: files may have come while no process ran. */
  async settlePending(): Promise<void> {
    await this.#settle(this.#messages.pending());
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#listeners.clear();
  }

  #record(checked: CheckedMessage, facts: Facts): { events: LedgerEvent[]; refused?: Reason } {
    const { envelope, rejection } = checked;
    const row = this.#messages.find(envelope.item_hash);
    if (row !== undefined && row.status !== 'rejected') {
      if (rejection !== undefined) return { events: [], refused: rejection };
      this.#keepPreferred(envelope);
      return { events: [] };
    }
    if (row !== undefined) {
      transition(row.status, 'pending', { itemHash: row.item_hash });
      this.#messages.delete(row.item_hash);
    }
    this.#messages.insertPending(envelope, { receivedMs: (this.#components.now ?? Date.now)() });
    if (rejection === undefined) return { events: this.#apply(envelope, facts) };
    return { events: this.#reject(envelope.item_hash, rejection) };
  }

  /** Moves a pending message on, as far as the facts allow. */
  #apply(envelope: Envelope, facts: Facts): LedgerEvent[] {
    const itemHash = envelope.item_hash;
    const outcome = apply(envelope, facts, { tables: this.#index });
    if (outcome.status === 'rejected') return this.#reject(itemHash, outcome);
    const status = transition('pending', outcome.status, { itemHash });
    if (outcome.status === 'pending') {
      const { code, errors } = outcome;
      const known = this.#messages.find(itemHash);
      this.#messages.settle(itemHash, { status, reason: outcome, waits: outcome.waits });
      if (known && reasonOf(known)?.code === code) return [];
      return [{ type: 'pending', itemHash, reason: { code, errors } }];
    }
    const content = envelope.item_content === undefined ? facts.text : undefined;
    this.#messages.settle(itemHash, { status, content, address: outcome.address });
    const row = this.#messages.find(itemHash);
    const inForce = row && sequenced(row);
    if (row === undefined || inForce === undefined)
      throw new Error(`Cannot read back '${itemHash}': no content, expected a processed message`);
    this.#writer.indexMessage(indexedRow(row, inForce.message));
    const forgotten = outcome.forgotten.map((message): LedgerEvent => {
      const gone = this.#messages.find(message.itemHash);
      if (gone) this.#writer.unindexMessage(indexedRow(gone, message));
      return { type: 'forgotten', itemHash: message.itemHash, message, forgottenBy: itemHash };
    });
    return [{ type: 'processed', itemHash, ...inForce }, ...forgotten];
  }

  #reject(itemHash: ItemHash, { code, errors }: Reason): LedgerEvent[] {
    const reason = { code, errors };
    this.#messages.settle(itemHash, { status: transition('pending', 'rejected', { itemHash }), reason });
    this.#messages.pruneRejected({ keep: this.#components.rejectedKept ?? REJECTED_KEPT });
    return [{ type: 'rejected', itemHash, reason }];
  }

  #keepPreferred(copy: Envelope): void {
    const row = this.#messages.find(copy.item_hash);
    const content = messageOf(row)?.content;
    // Which time was signed is known once the content is; a copy kept elsewhere says nothing new.
    if (row === undefined || content === undefined || copy.item_type !== row.item_type) return;
    const kept = preferred(envelopeOf(row), copy, { signedTime: content.time });
    if (kept !== copy) return;
    this.#messages.updateUnsigned(copy);
    const message = messageOf(this.#messages.find(copy.item_hash));
    if (message !== undefined) this.#writer.reindexMessage(indexedRow(row, message));
  }

  async #move(
    itemHash: string,
    { from, to, reason }: { from: MessageStatus; to: 'processed' | 'removing' | 'removed'; reason?: string },
  ): Promise<boolean> {
    const events = this.#immediate((): LedgerEvent[] => {
      const row = this.#messages.find(itemHash);
      const message = messageOf(row);
      if (row === undefined || message === undefined || row.status !== from) return [];
      transition(from, to, { itemHash });
      const of = { itemHash: message.itemHash, message };
      if (to === 'removing') {
        this.#messages.startRemoving(itemHash, { reason: reason ?? '' });
        return [{ type: 'removing', ...of, reason: reason ?? '' }];
      }
      if (to === 'processed') {
        this.#messages.restore(itemHash);
        return [{ type: 'restored', ...of }];
      }
      this.#writer.unindexMessage(indexedRow(row, message));
      this.#messages.remove(itemHash, { removedMs: (this.#components.now ?? Date.now)() });
      this.#index.drop(itemHash);
      return [{ type: 'removed', ...of }];
    });
    await this.#publish(events);
    return events.length > 0;
  }

  async #settleIfFileCame(itemHash: ItemHash): Promise<void> {
    // The file may have come between the look at the disk and the record of the wait.
    for (const wanted of this.#messages.filesWantedBy(itemHash)) {
      if (await this.#components.content.has(wanted)) return await this.#settle([itemHash]);
    }
  }

  async #settle(itemHashes: string[]): Promise<void> {
    for (const itemHash of itemHashes) {
      const row = this.#messages.find(itemHash);
      if (row?.status !== 'pending') continue;
      const envelope = envelopeOf(row);
      const facts = await gatherFacts(envelope, this.#components);
      const events = this.#immediate(() => {
        const stillPending = this.#messages.find(itemHash)?.status === 'pending';
        return stillPending ? this.#apply(envelope, facts) : [];
      });
      await this.#publish(events);
    }
  }

  /** Tells subscribers, then settles what waited for the messages that are now in force. */
  async #publish(events: LedgerEvent[]): Promise<void> {
    for (const event of events) {
      for (const listener of [...this.#listeners]) this.#tell(listener, event);
    }
    for (const event of events) {
      if (event.type !== 'processed' && event.type !== 'forgotten') continue;
      await this.#settle(this.#messages.waitingFor({ kind: 'message', wanted: event.itemHash }));
    }
  }

  #tell(listener: LedgerListener, event: LedgerEvent): void {
    try {
      listener(event);
    } catch (error) {
      this.#components.onListenerError(error);
    }
  }

  #storeRecord(row: {
    itemHash: ItemHash;
    fileHash: StoreRecord['fileHash'];
    sizeBytes: number;
  }): StoreRecord | undefined {
    const message = messageOf(this.#messages.find(row.itemHash));
    if (message?.type !== 'STORE') return undefined;
    return { ...message, fileHash: row.fileHash, sizeBytes: row.sizeBytes };
  }

  #immediate<T>(change: () => T): T {
    return transact(this.#components.database, change);
  }
}

function sequenced(row: Row): Sequenced | undefined {
  const message = messageOf(row);
  return message && { seq: row.processed_seq ?? 0, message };
}

function indexedRow({ position, processed_seq }: Row, message: AnyProcessedMessage): IndexedRow {
  return { position, processedSeq: processed_seq ?? 0, message, owner: addressKey(message.content.address) };
}
