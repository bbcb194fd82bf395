import type { AggregateRecord, Holdings, InstanceRecord, ProgramRecord, Sequenced, StoreRecord } from '../records.ts';
import {
  forgottenEnvelope,
  pendingEnvelope,
  processedEnvelope,
  rejectedEnvelope,
  removedEnvelope,
  removingEnvelope,
  type StatusEnvelope,
} from '../status-envelope.ts';
import type { IndexTables } from './index-tables.ts';
import type { MessageTable } from './message-table.ts';
import { envelopeOf, messageOf, reasonOf, sequenced } from './rows.ts';

/** What can be asked of the ledger. */
export abstract class Reads {
  readonly #messages: MessageTable;
  readonly #index: IndexTables;

  constructor(messages: MessageTable, index: IndexTables) {
    this.#messages = messages;
    this.#index = index;
  }

  get(itemHash: string): StatusEnvelope | undefined {
    const row = this.#messages.find(itemHash);
    if (row === undefined) return undefined;
    const known = { envelope: envelopeOf(row), receivedMs: row.received_ms, reason: reasonOf(row) };
    const reason = row.reason ?? '';
    if (row.status === 'pending') return pendingEnvelope(known);
    if (row.status === 'rejected') return rejectedEnvelope(known);
    if (row.status === 'removed') return removedEnvelope(known, { removedMs: row.removed_ms ?? 0, reason });
    const content = messageOf(row)?.content;
    if (content === undefined) return forgottenEnvelope(known, this.#index.forgottenBy(itemHash));
    return row.status === 'removing' ? removingEnvelope(known, { content, reason }) : processedEnvelope(known, content);
  }

  programs(): ProgramRecord[] {
    return this.#index.machines.programs();
  }

  program(itemHash: string): ProgramRecord | undefined {
    return this.#index.machines.program(itemHash);
  }

  instances(): InstanceRecord[] {
    return this.#index.machines.instances();
  }

  instance(itemHash: string): InstanceRecord | undefined {
    return this.#index.machines.instance(itemHash);
  }

  programsUsing(ref: string): (ProgramRecord | InstanceRecord)[] {
    return this.#index.machines.usingLatest(ref);
  }

  replacementOf(itemHash: string): ProgramRecord | InstanceRecord | undefined {
    return this.#index.machines.replacementOf(itemHash);
  }

  store(itemHash: string, { latest = false }: { latest?: boolean } = {}): StoreRecord | undefined {
    const exact = this.#index.store(itemHash);
    const row = latest ? (this.#index.latest(itemHash) ?? exact) : exact;
    return row && this.#storeRecord(row);
  }

  storesOf(address: string): StoreRecord[] {
    return this.#index.stores.of(address).flatMap((row) => this.#storeRecord(row) ?? []);
  }

  holdingsOf(address: string): Holdings {
    return { ...this.#index.machines.programsOf(address), storedBytes: this.#index.stores.bytesOf(address) };
  }

  aggregate(address: string, keys?: readonly string[]): AggregateRecord[] {
    if (keys === undefined) return this.#index.aggregates.all(address);
    return [...new Set(keys)].sort().flatMap((key) => this.#index.aggregates.find(address, key) ?? []);
  }

  newestSeq(): number {
    return this.#messages.newest();
  }

  processedSince(seq: number, { limit }: { limit: number }): Sequenced[] {
    return this.#messages.since(seq, { limit }).flatMap((row) => sequenced(row) ?? []);
  }

  #storeRecord({
    itemHash,
    fileHash,
    sizeBytes,
  }: Pick<StoreRecord, 'itemHash' | 'fileHash' | 'sizeBytes'>): StoreRecord | undefined {
    const message = messageOf(this.#messages.find(itemHash));
    return message?.type === 'STORE' ? { ...message, fileHash, sizeBytes } : undefined;
  }
}
