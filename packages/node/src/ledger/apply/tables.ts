import type { FileHash, ItemHash } from '@vmlet/messages';
import type { MessageType } from '@vmlet/messages/schema';
import type { AnyProcessedMessage, ProgramRecord } from '../records.ts';
import type { MessageStatus } from '../state.ts';

/** What a rule may ask of any message. */
export interface MessageRow {
  readonly status: MessageStatus;
  readonly type: MessageType;
  /** The owner; undefined while the content is not known. */
  readonly address: string | undefined;
}

/** A STORE in force, as the index keeps it. */
export interface StoreRow {
  readonly itemHash: ItemHash;
  readonly address: string;
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
  /** What its updates share with it: its item_hash, or the owner's name for it. */
  readonly tag: string;
  readonly isUpdate: boolean;
  /** `content.time`, in seconds. */
  readonly time: number;
}

/** A PROGRAM in force, as the index keeps it. */
export interface ProgramRow {
  readonly itemHash: ItemHash;
  readonly address: string;
  readonly replaces: string | undefined;
  readonly time: number;
  readonly refs: readonly ItemHash[];
}

/** What the rules read and change. Only to be called within the transaction that records the outcome. */
export interface LedgerTables {
  message(itemHash: string): MessageRow | undefined;
  store(itemHash: string): StoreRow | undefined;
  /** Whether this node has something else to run in the place of a runtime that it lacks. */
  standIn(ref: string): boolean;
  program(itemHash: string): ProgramRecord | undefined;
  /** The programs in force that use a STORE. */
  usersOf(ref: string): string[];
  /** The programs in force that replace a program. */
  replacementsOf(itemHash: string): string[];
  insertStore(row: StoreRow): void;
  insertProgram(row: ProgramRow): void;
  /** Leaves a skeleton of a message. Answers with the message if it was in force until now. */
  forget(itemHash: string, options: { by: ItemHash }): AnyProcessedMessage | undefined;
}
