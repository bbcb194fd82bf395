import type { Envelope, ItemHash } from '@vmlet/messages';
import { VmletError } from '../../errors.ts';
import { apply, type Facts } from '../apply/apply.ts';
import type { Outcome } from '../apply/outcome.ts';
import type { Examined } from '../check/examine.ts';
import { NetworkCode } from '../codes.ts';
import type { LedgerEvent } from '../events.ts';
import type { Reason } from '../reason.ts';
import { type MessageStatus, transition } from '../state.ts';
import type { Committed } from './commit-queue.ts';
import { Copies } from './copies.ts';
import type { IndexTables } from './index-tables.ts';
import type { MessageTable, Settled } from './message-table.ts';
import { MAX_TRIES } from './retries.ts';
import { envelopeOf, messageFrom, type Row, reasonOf } from './rows.ts';

/** What is kept of messages that are not in force. */
export interface Bounds {
  /** Rejected messages: the newest. */
  readonly rejected: number;
  readonly pending: number;
  readonly pendingBytes: number;
  readonly pendingOfSender: number;
  readonly pendingBytesOfSender: number;
}

interface IntakeComponents {
  messages: MessageTable;
  index: IndexTables;
  bounds: Bounds;
  /** Milliseconds since 1970. */
  now: () => number;
  /** How long to wait before a try, in milliseconds. */
  delayMs: (n: number) => number;
}

/** The state of a message after a change. */
export interface State {
  readonly status: MessageStatus;
  readonly reason: Reason | undefined;
}

type Recorded = Committed<State>;
/** Writes an outcome to a message's row, new or not. Answers with what tells its place. */
type Write = (settled: Settled) => { place: Pick<Row, 'position' | 'processed_seq'>; receivedMs: number };

/** Moves messages on. Every method MUST run within a transaction. */
export class Intake {
  readonly #components: IntakeComponents;
  readonly #copies: Copies;

  constructor(components: IntakeComponents) {
    this.#components = components;
    this.#copies = new Copies(components);
  }

  /**
   * Takes a message in, or a copy of one that is here.
   * @throws VmletError `PENDING_EXCEEDED`, unless `unbounded`
   */
  record({ envelope, unsigned }: Examined, facts: Facts, { unbounded = false } = {}): Recorded {
    const { messages } = this.#components;
    const row = messages.find(envelope.item_hash);
    if (row !== undefined && unsigned !== undefined) {
      return { events: [], value: { status: 'rejected', reason: unsigned } };
    }
    if (row !== undefined && row.status !== 'rejected') {
      const { refused, hasBroughtContent } = this.#copies.take(envelope, { row, facts });
      if (refused !== undefined) return { events: [], value: { status: 'rejected', reason: refused } };
      return hasBroughtContent ? this.settle(row.item_hash, facts) : this.#present(row.item_hash);
    }
    if (row !== undefined) {
      transition(row.status, 'pending', { itemHash: row.item_hash });
      messages.delete(row.item_hash);
    }
    const receivedMs = this.#components.now();
    const write: Write = (settled) => ({ receivedMs, place: messages.insert(envelope, { ...settled, receivedMs }) });
    if (unsigned !== undefined) return this.#reject(envelope, unsigned, write);
    const outcome = apply(envelope, facts, { tables: this.#components.index });
    if (outcome.status === 'pending' && !unbounded) this.#refuseTooMany(envelope, facts);
    return this.#conclude({ envelope, facts, outcome, write });
  }

  /**
   * Tries a pending message again.
   * @param options `counted` if only so many tries are made
   */
  settle(itemHash: ItemHash, facts: Facts, { counted = false }: { counted?: boolean } = {}): Recorded {
    const row = this.#components.messages.find(itemHash);
    if (row?.status !== 'pending') return this.#present(itemHash);
    const chosen = this.#copies.choose(envelopeOf(row), { row, facts });
    const outcome = apply(chosen.envelope, chosen.facts, { tables: this.#components.index });
    return this.#conclude({ ...chosen, outcome, write: this.#writeTo(row), row, counted });
  }

  /** Counts a try that a defect of this node ended. */
  fail(itemHash: ItemHash, facts: Facts, { error }: { error: unknown }): Recorded {
    const row = this.#components.messages.find(itemHash);
    if (row?.status !== 'pending') return this.#present(itemHash);
    const cause = error instanceof Error ? error.message : String(error);
    const errors = [`Cannot apply '${itemHash}': ${cause}, expected no error`];
    const outcome: Outcome = { status: 'pending', code: NetworkCode.INTERNAL, errors, waits: [] };
    return this.#conclude({ envelope: envelopeOf(row), facts, outcome, write: this.#writeTo(row), row, counted: true });
  }

  #writeTo(row: Row): Write {
    return (settled) => ({
      receivedMs: row.received_ms,
      place: this.#components.messages.settle(row.item_hash, settled),
    });
  }

  #present(itemHash: string): Recorded {
    const row = this.#components.messages.find(itemHash);
    const reason = row && (row.status === 'forgotten' ? forgottenReason(itemHash) : reasonOf(row));
    return { events: [], value: { status: row?.status ?? 'rejected', reason } };
  }

  #conclude(concluding: Concluding): Recorded {
    const { outcome, envelope, write } = concluding;
    switch (outcome.status) {
      case 'rejected':
        return this.#reject(envelope, outcome, write);
      case 'pending':
        return this.#wait(concluding, outcome);
      case 'forgotten':
        return this.#forgotten(concluding, outcome);
      case 'processed':
        return this.#processed(concluding, outcome);
    }
  }

  #reject(envelope: Envelope, { code, errors }: Reason, write: Write): Recorded {
    const itemHash = envelope.item_hash;
    const reason = { code, errors };
    write({ status: transition('pending', 'rejected', { itemHash }), reason });
    this.#components.messages.pruneRejected({ keep: this.#components.bounds.rejected });
    const value = { status: 'rejected', reason } as const;
    return { events: [{ type: 'rejected', itemHash, reason }], value };
  }

  #wait(concluding: Concluding, { code, errors, waits }: OutcomeOf<'pending'>): Recorded {
    const { envelope, facts, write, row, counted } = concluding;
    const itemHash = envelope.item_hash;
    const tries = (row?.tries ?? 0) + (counted ? 1 : 0);
    if (tries >= MAX_TRIES) {
      return this.#reject(envelope, { code, errors: [...errors, `Cannot wait longer: tried ${tries} times`] }, write);
    }
    const isNew = row === undefined || counted || row.next_attempt_ms === null;
    const nextAttemptMs = isNew
      ? Math.ceil(this.#components.now() + this.#components.delayMs(tries + 1))
      : (row.next_attempt_ms ?? 0);
    const reason = { code, errors };
    write({ status: 'pending', reason, waits, tries, nextAttemptMs, ...known(envelope, facts) });
    const isTold = row !== undefined && row.error_code === code;
    const value = { status: 'pending', reason } as const;
    return { events: isTold ? [] : [{ type: 'pending', itemHash, reason }], value };
  }

  #forgotten({ envelope, facts, write }: Concluding, { traits, by }: OutcomeOf<'forgotten'>): Recorded {
    const itemHash = envelope.item_hash;
    const settled = { ...known(envelope, facts), traits, content: undefined };
    const { receivedMs } = write({ status: transition('pending', 'forgotten', { itemHash }), ...settled });
    for (const one of by) this.#components.index.recordForget(itemHash, { by: one });
    const value = { status: 'forgotten', reason: forgottenReason(itemHash) } as const;
    const forgottenBy = by.at(-1);
    if (facts.content === undefined || forgottenBy === undefined) return { events: [], value };
    const message = messageFrom(envelope, { content: facts.content, receivedMs });
    return { events: [{ type: 'forgotten', itemHash, message, forgottenBy }], value };
  }

  #processed({ envelope, facts, write }: Concluding, outcome: OutcomeOf<'processed'>): Recorded {
    const itemHash = envelope.item_hash;
    if (facts.content === undefined) throw new Error(`Cannot put '${itemHash}' in force: no content, expected one`);
    const status = transition('pending', 'processed', { itemHash });
    const { place, receivedMs } = write({ status, ...known(envelope, facts), traits: outcome.traits });
    const message = messageFrom(envelope, { content: facts.content, receivedMs });
    const events: LedgerEvent[] = [{ type: 'processed', itemHash, message, seq: place.processed_seq ?? 0 }];
    for (const gone of outcome.forgotten) {
      events.push({ type: 'forgotten', itemHash: gone.itemHash, message: gone, forgottenBy: itemHash });
    }
    const refs = outcome.updatedRefs;
    if (refs.length > 0) events.push({ type: 'updated', itemHash, refs });
    return { events, value: { status: 'processed', reason: undefined } };
  }

  /** Anyone can send what waits for something that never comes. */
  #refuseTooMany({ sender }: Envelope, { text = '' }: Facts): void {
    const { messages, bounds } = this.#components;
    const own = messages.pendingTotals(sender);
    const all = messages.pendingTotals();
    const bytes = Buffer.byteLength(text);
    const isFull =
      own.count >= bounds.pendingOfSender ||
      own.bytes + bytes > bounds.pendingBytesOfSender ||
      all.count >= bounds.pending ||
      all.bytes + bytes > bounds.pendingBytes;
    if (!isFull) return;
    throw new VmletError('PENDING_EXCEEDED', { operands: { sender, found: own.count, foundOfAll: all.count } });
  }
}

type OutcomeOf<S extends Outcome['status']> = Extract<Outcome, { status: S }>;

interface Concluding {
  envelope: Envelope;
  facts: Facts;
  outcome: Outcome;
  write: Write;
  /** Where it stood until now; undefined for a message that comes in. */
  row?: Row;
  counted?: boolean;
}

/** What a content tells of its message, however that fares. */
function known(envelope: Envelope, { text, content }: Facts): Partial<Settled> {
  if (text === undefined || content === undefined) return {};
  return {
    address: content.address,
    signedTime: content.time,
    sizeBytes: Buffer.byteLength(text),
    content: envelope.item_content === undefined ? text : undefined,
  };
}

function forgottenReason(itemHash: string): Reason {
  const fault = `Cannot accept '${itemHash}': forgotten, expected another message`;
  return { code: NetworkCode.FORGOTTEN_DUPLICATE, errors: [fault] };
}
