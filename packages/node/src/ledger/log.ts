import type { Envelope, FileHash, ItemHash } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';
import type { Reason } from './reason.ts';
import type { MessageStatus } from './state.ts';
import type { StatusEnvelope } from './status-envelope.ts';

/** What became of a message that was handed in. */
export interface Acceptance {
  readonly itemHash: ItemHash;
  readonly status: MessageStatus;
  /** Present while pending and when rejected. */
  readonly reason?: Reason | undefined;
}

/** A message that is in force. `content` is for use; `envelope.item_content` is what was signed. */
export interface ProcessedMessage<T extends MessageType = MessageType> {
  readonly type: T;
  readonly itemHash: ItemHash;
  readonly envelope: Envelope;
  readonly content: ContentOf<T>;
  /** When this node accepted it, in milliseconds since 1970. */
  readonly receivedMs: number;
}

/** Any message in force; `type` tells which. */
export type AnyProcessedMessage = { [T in MessageType]: ProcessedMessage<T> }[MessageType];

/** A PROGRAM in force. */
export type ProgramRecord = ProcessedMessage<'PROGRAM'>;

/** A STORE in force: the file a ref leads to. */
export interface StoreRecord extends ProcessedMessage<'STORE'> {
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
}

/** What a message says of itself before it is accepted. */
export interface CheckedMessage {
  readonly envelope: Envelope;
  /** The parsed content of an inline message. */
  readonly content: ContentOf<MessageType> | undefined;
  /** Set if accepting it would reject it for its signature or for want of permission. */
  readonly rejection: Reason | undefined;
}

/** What an address has in the ledger. */
export interface Holdings {
  /** The programs in force. */
  readonly programs: readonly ItemHash[];
  /** PROGRAMs that wait for something. */
  readonly pendingPrograms: number;
  /** Of the files that its STOREs in force name, each counted once. */
  readonly storedBytes: number;
}

/** A change of the ledger, told after it is committed. */
export type LedgerEvent =
  | { readonly type: 'processed'; readonly message: AnyProcessedMessage }
  | { readonly type: 'forgotten'; readonly message: AnyProcessedMessage }
  | { readonly type: 'rejected'; readonly itemHash: ItemHash; readonly reason: Reason };

/** Called once for each event, in the order of commitment. It MUST NOT throw and cannot delay the ledger. */
export type LedgerListener = (event: LedgerEvent) => void;

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
   * Takes a message into the log. A bad signature or missing permission is an answer (rejected), not an error.
   * @throws VmletError `MESSAGE_MALFORMED`, `STORAGE_FULL`, `STORAGE_FAILED`; then there is no record
   */
  accept(message: unknown): Promise<Acceptance>;

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

  /** Calls `listener` for each event. The answer ends the subscription. */
  subscribe(listener: LedgerListener): () => void;
}
