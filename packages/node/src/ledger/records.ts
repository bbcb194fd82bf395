import type { Envelope, FileHash, ItemHash } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';

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

/** A message in force and its place in the order in which messages came in force. */
export interface Sequenced {
  /** Grows by every message; numbers may be missing. A message keeps its own over restarts. */
  readonly seq: number;
  readonly message: AnyProcessedMessage;
}

/** A PROGRAM in force. */
export type ProgramRecord = ProcessedMessage<'PROGRAM'>;

/** An INSTANCE in force. */
export type InstanceRecord = ProcessedMessage<'INSTANCE'>;

/** A STORE in force: the file a ref leads to. */
export interface StoreRecord extends ProcessedMessage<'STORE'> {
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
}

/** What the AGGREGATEs of one key of an address come to. */
export interface AggregateRecord {
  /** As its owner wrote it last. */
  readonly address: string;
  readonly key: string;
  /** Every member with the value that was signed last. */
  readonly content: Readonly<Record<string, unknown>>;
  /** `content.time` of the first and of the last AGGREGATE, in seconds. */
  readonly created: number;
  readonly lastUpdated: number;
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
