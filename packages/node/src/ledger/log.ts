import type { Envelope, ItemHash } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';
import type { LedgerListener } from './events.ts';
import type { Reason } from './reason.ts';
import type { AggregateRecord, Holdings, InstanceRecord, ProgramRecord, Sequenced, StoreRecord } from './records.ts';
import type { MessageStatus } from './state.ts';
import type { StatusEnvelope } from './status-envelope.ts';

/** What became of a message that was handed in. */
export interface Acceptance {
  readonly itemHash: ItemHash;
  readonly status: MessageStatus;
  /** Present while pending and when rejected. */
  readonly reason?: Reason | undefined;
}

/** What a message says of itself before it is accepted. */
export interface CheckedMessage {
  readonly envelope: Envelope;
  /** The parsed content of an inline message. */
  readonly content: ContentOf<MessageType> | undefined;
  /** Set if accepting it would reject it for its signature or for want of permission. */
  readonly rejection: Reason | undefined;
}

/** What became of many messages: how many of each state there are. */
export interface BulkResult extends Readonly<Record<MessageStatus, number>> {
  /** How many could not be read: of these there is no record. */
  readonly malformed: number;
  /** The first of those, by their place in the order they came, from 0. */
  readonly faults: readonly { readonly index: number; readonly cause: string }[];
}

/**
 * The log of signed messages and its index. What an implementation promises:
 *
 * - Accepted means committed: what `accept` answered MUST survive kill -9 and a power cut.
 * - `accept` MUST be idempotent: the same message again, at any time and at the same time, has the same answer as
 *   its hash's present state, and MUST NOT be told to subscribers again.
 * - The first message to be in force under a hash stays: no later copy, however signed, changes what was signed. Of
 *   copies that differ in what is not signed (time, channel) the same one MUST win in whatever order they come.
 * - A rejected hash MAY be handed in again, and a forged copy MUST NOT keep out the genuine one.
 * - A message that waits for a file or another message MUST be settled as soon as that is there, and before the
 *   `commit` of that file resolves.
 * - Events MUST come after the commit, each once while the process lives. After a restart there are none for the
 *   past: read `programs()`.
 * - Reads see every change whose `accept` has resolved.
 */
export interface Ledger extends Disposable {
  /**
   * Reads a message without recording it.
   * @throws VmletError `MESSAGE_MALFORMED`
   */
  check(message: unknown): CheckedMessage;

  /**
   * Takes a message into the log: as it came, or as what `check` made of it, which is not checked again. A bad signature
   * or missing permission is an answer (rejected), not an error.
   * @throws VmletError `MESSAGE_MALFORMED`, `PENDING_EXCEEDED`, `STORAGE_FULL`, `STORAGE_FAILED`; then there is no record
   */
  accept(message: unknown): Promise<Acceptance>;

  /**
   * Takes many messages in, in the order they come, by the same rules as `accept`; any number of them may wait.
   * @param options `verified` if all their signatures were checked already
   * @throws VmletError `STORAGE_FULL`, `STORAGE_FAILED`; whatever the source throws. What came before is recorded
   */
  bulk(messages: Iterable<unknown> | AsyncIterable<unknown>, options?: { verified?: boolean }): Promise<BulkResult>;

  /** The state of a message as the network API tells it; undefined if it was never accepted. */
  get(itemHash: string): StatusEnvelope | undefined;

  /** The programs in force, oldest first. */
  programs(): ProgramRecord[];

  /** A program in force. */
  program(itemHash: string): ProgramRecord | undefined;

  /** The STORE a ref names; with `latest` its newest update by the same owner, if there is one. */
  store(itemHash: string, options?: { latest?: boolean }): StoreRecord | undefined;

  /** The STOREs of an address, newest first. */
  storesOf(address: string): StoreRecord[];

  /** What an address has here. */
  holdingsOf(address: string): Holdings;

  /**
   * Says that this node is about to give up a message in force, and why (`removing`). It stays in force until `remove`.
   * @returns false if it is not in force
   */
  startRemoving(itemHash: string, options: { reason: string }): Promise<boolean>;

  /** Keeps after all what was about to be given up. False if it was not. */
  restore(itemHash: string): Promise<boolean>;

  /** Gives up a message that is `removing`: a skeleton is left, for good. False if it was not. */
  remove(itemHash: string): Promise<boolean>;

  /** The INSTANCEs in force, oldest first. */
  instances(): InstanceRecord[];

  /** An INSTANCE in force. */
  instance(itemHash: string): InstanceRecord | undefined;

  /** The programs and instances in force that use a STORE, or the newest under its tag, with `use_latest`. */
  programsUsing(ref: string): (ProgramRecord | InstanceRecord)[];

  /** The newest PROGRAM or INSTANCE in force that replaces one, by `content.time`; undefined if none does. */
  replacementOf(itemHash: string): ProgramRecord | InstanceRecord | undefined;

  /** What the AGGREGATEs of an address come to, in the order of their keys: all, or those of some keys. */
  aggregate(address: string, keys?: readonly string[]): AggregateRecord[];

  /**
   * Messages in force that came in force after the one with `seq`, in that order; 0 for the first. Fewer than `limit`
   * means that there are no more. What was forgotten or removed meanwhile is left out.
   */
  processedSince(seq: number, options: { limit: number }): Sequenced[];

  /** The `seq` of the last message that came in force, whatever became of it; 0 where there is none. */
  newestSeq(): number;

  /**
   * To be called when what `standIn` says of a ref is another: tells subscribers (`updated`), and settles what waits for it.
   * @param by the message that made it so
   */
  standInChanged(ref: string, options: { by: ItemHash }): Promise<void>;

  /** Calls `listener` for each event. The answer ends the subscription. */
  subscribe(listener: LedgerListener): () => void;
}
