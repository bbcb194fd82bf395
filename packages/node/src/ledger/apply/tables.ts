import type { FileHash, ItemHash } from '@vmlet/messages';
import type { MessageType } from '@vmlet/messages/schema';
import type { AnyProcessedMessage } from '../records.ts';
import type { MessageStatus } from '../state.ts';

/** What a rule may ask of any message, forgotten and removed ones too. */
export interface MessageRow {
  readonly status: MessageStatus;
  readonly type: MessageType;
  /** The owner; undefined while the content is not known. */
  readonly address: string | undefined;
  readonly channel: string | undefined;
  /** The type of a POST (of an amend: of its original), the key of an AGGREGATE. */
  readonly topic: string | undefined;
  /** The message that it amends, replaces or updates, once it has been in force. */
  readonly updates: string | undefined;
  readonly allowAmend: boolean;
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

/** A STORE that a program or instance uses, or with `useLatest` the newest under its tag. */
export interface MachineRef {
  readonly ref: ItemHash;
  readonly useLatest: boolean;
}

/** A PROGRAM or INSTANCE in force, as the index keeps it. */
export interface MachineRow {
  readonly type: 'PROGRAM' | 'INSTANCE';
  readonly itemHash: ItemHash;
  readonly address: string;
  readonly replaces: string | undefined;
  readonly time: number;
  readonly refs: readonly MachineRef[];
}

/** A POST in force, as the index keeps it. */
export interface PostRow {
  readonly itemHash: ItemHash;
  readonly address: string;
  readonly postType: string;
  readonly ref: string | undefined;
  /** The original of an amend. */
  readonly amends: string | undefined;
  readonly time: number;
}

/** An AGGREGATE in force, as the index keeps it. */
export interface ElementRow {
  readonly itemHash: ItemHash;
  readonly address: string;
  readonly key: string;
  readonly time: number;
  readonly content: Readonly<Record<string, unknown>>;
}

/** What taking a message out of the index came to. */
export interface Forgotten {
  /** The message, if it was in force until now. */
  readonly message: AnyProcessedMessage | undefined;
  /** Refs that now lead to another STORE. */
  readonly updatedRefs: readonly string[];
}

/** What the rules read and change. Only to be called within the transaction that records the outcome. */
export interface LedgerTables {
  message(itemHash: string): MessageRow | undefined;
  /** The FORGETs that name a message, by `content.time`. */
  forgottenBy(itemHash: string): ItemHash[];
  /** The POSTs, PROGRAMs and INSTANCEs that amend or replace a message, whatever became of them. */
  updatesOf(itemHash: string): string[];
  store(itemHash: string): StoreRow | undefined;
  /** The newest STORE under a tag. */
  latest(tag: string): StoreRow | undefined;
  /** Whether this node has something else to run in the place of a runtime that it lacks. */
  standIn(ref: string): boolean;
  /** The programs and instances in force that name a STORE. */
  machinesUsing(ref: string): string[];
  /** The content of the aggregate "security" of an address; undefined if it has none. */
  security(owner: string): unknown;
  /** The AGGREGATEs in force of a key that were signed until `until`, in seconds. */
  elements(owner: string, options: { key: string; until: number }): string[];
  /** Whether a key has, or had, an AGGREGATE in force. */
  hasHadAggregate(owner: string, key: string): boolean;
  /** The FORGETs of a key that were signed at `since` or later. */
  keyForgottenBy(owner: string, options: { key: string; since: number }): ItemHash[];

  insertStore(row: StoreRow): void;
  insertMachine(row: MachineRow): void;
  insertPost(row: PostRow): void;
  insertElement(row: ElementRow): void;
  insertKeyForget(owner: string, options: { key: string; time: number; by: ItemHash }): void;
  /** Leaves a skeleton of a message. */
  forget(itemHash: string, options: { by: ItemHash }): Forgotten;
  /** MUST be called after the last of one or several `forget`s. */
  rebuildAggregates(): void;
}
