import type { Envelope, FileHash } from '@vmlet/messages';
import type { Traits, Wait } from '../apply/outcome.ts';
import type { Reason } from '../reason.ts';
import type { MessageStatus } from '../state.ts';
import type { LedgerDatabase } from './ledger-database.ts';
import { prepareMessages } from './message-statements.ts';
import type { Row } from './rows.ts';

/** What an outcome writes into a message's row. What is undefined stays as it is. */
export interface Settled {
  status: MessageStatus;
  reason?: Reason | undefined;
  waits?: readonly Wait[];
  /** The owner, once known. */
  address?: string | undefined;
  /** `content.time`, in seconds. */
  signedTime?: number | undefined;
  /** The content's text where it did not come in the message. */
  content?: string | undefined;
  /** Of the content, in UTF-8. */
  sizeBytes?: number | undefined;
  traits?: Traits | undefined;
  tries?: number | undefined;
  nextAttemptMs?: number | undefined;
}

/** The messages and what they wait for. */
export class MessageTable {
  readonly #statements: ReturnType<typeof prepareMessages>;

  constructor(database: LedgerDatabase) {
    this.#statements = prepareMessages(database);
  }

  find(itemHash: string): Row | undefined {
    return this.#statements.find.get(itemHash);
  }

  /** Takes a message in, in the state it is in at once. Answers with what tells its place. */
  insert(
    envelope: Envelope,
    { receivedMs, ...settled }: Settled & { receivedMs: number },
  ): Pick<Row, 'position' | 'processed_seq'> {
    const { channel = null, item_content = null } = envelope;
    const kept = settled.status === 'forgotten' ? null : item_content;
    const columns = { ...envelope, channel, item_content: kept, received_ms: receivedMs, ...columnsOf(settled) };
    const place = this.#statements.insert.get(columns);
    if (place === undefined) throw new Error(`Cannot insert '${envelope.item_hash}': no row, expected one`);
    this.#setWaits(envelope.item_hash, settled);
    return place;
  }

  /** Moves a message on. Answers with what tells its place. */
  settle(itemHash: string, settled: Settled): Pick<Row, 'position' | 'processed_seq'> {
    const place = this.#statements.settle.get({ item_hash: itemHash, ...columnsOf(settled) });
    if (place === undefined) throw new Error(`Cannot settle '${itemHash}': no row, expected one`);
    this.#statements.clearWaits.run(itemHash);
    this.#setWaits(itemHash, settled);
    return place;
  }

  delete(itemHash: string): void {
    this.#statements.delete.run(itemHash);
  }

  #setWaits(itemHash: string, { waits = [] }: Settled): void {
    for (const { kind, wanted } of waits) this.#statements.insertWait.run(itemHash, kind, wanted);
  }

  /** Puts another copy in place. With `hasContent` its text, too, if it has one. */
  replaceCopy(copy: Envelope, { hasContent }: { hasContent: boolean }): void {
    const { channel = null, item_content = null } = copy;
    this.#statements.replaceCopy.run({ ...copy, channel, text: hasContent ? item_content : null });
  }

  /** Copies of a pending message whose content is not here. */
  copies(itemHash: string): Envelope[] {
    return this.#statements.copies.all(itemHash).map(({ copy }) => JSON.parse(copy) as Envelope);
  }

  insertCopy(copy: Envelope): void {
    this.#statements.insertCopy.run(copy.item_hash, JSON.stringify(copy));
  }

  clearCopies(itemHash: string): void {
    this.#statements.clearCopies.run(itemHash);
  }

  /** The messages in force that came in force after another, in that order. */
  since(seq: number, { limit }: { limit: number }): Row[] {
    return this.#statements.since.all(seq, limit);
  }

  /** Of the last message that came in force, whatever became of it; 0 where there is none. */
  newest(): number {
    return this.#statements.newest.get()?.seq ?? 0;
  }

  startRemoving(itemHash: string, { reason }: { reason: string }): void {
    this.#statements.setRemoving.run(reason, itemHash);
  }

  restore(itemHash: string): void {
    this.#statements.restore.run(itemHash);
  }

  /** Leaves a skeleton. */
  remove(itemHash: string, { removedMs }: { removedMs: number }): void {
    this.#statements.remove.run(removedMs, itemHash);
  }

  /** The pending messages, by the time they were signed. */
  pending(): string[] {
    return this.#statements.pending.all().map((row) => row.item_hash);
  }

  /** Pending messages that are to be tried again by now. */
  due(nowMs: number, { limit }: { limit: number }): string[] {
    return this.#statements.due.all(nowMs, limit).map((row) => row.item_hash);
  }

  /** When the next pending message is to be tried again, in milliseconds since 1970. */
  nextDueMs(): number | undefined {
    return this.#statements.nextDue.get()?.next_attempt_ms ?? undefined;
  }

  /** What waits, of a sender or of all. */
  pendingTotals(sender?: string): { count: number; bytes: number } {
    const { pendingTotals, pendingTotalsOf } = this.#statements;
    const totals = sender === undefined ? pendingTotals.get() : pendingTotalsOf.get(sender);
    return { count: totals?.count ?? 0, bytes: totals?.bytes ?? 0 };
  }

  /** The pending messages that wait for this and for no other message that is still to come, by their signed time. */
  waitingFor({ kind, wanted }: Wait): string[] {
    return this.#statements.waitingFor.all({ kind, wanted }).map((row) => row.item_hash);
  }

  /** The files a message waits for. */
  filesWantedBy(itemHash: string): FileHash[] {
    return this.#statements.filesWantedBy.all(itemHash).map((row) => row.wanted);
  }

  /** Drops all but the newest rejected messages: anyone can send those, so they must not fill the disk. */
  pruneRejected({ keep }: { keep: number }): void {
    this.#statements.pruneRejected.run(keep);
  }
}

function columnsOf({ reason, traits, ...settled }: Settled) {
  const { allowAmend } = traits ?? {};
  return {
    status: settled.status,
    error_code: reason?.code ?? null,
    error_details: reason === undefined ? null : JSON.stringify(reason.errors),
    address: settled.address ?? null,
    content: settled.content ?? null,
    size_bytes: settled.sizeBytes ?? null,
    signed_time: settled.signedTime ?? null,
    topic: traits?.topic ?? null,
    updates: traits?.updates ?? null,
    allow_amend: allowAmend === undefined ? null : Number(allowAmend),
    tries: settled.tries ?? null,
    next_attempt_ms: settled.nextAttemptMs ?? null,
  };
}
