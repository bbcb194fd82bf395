import type { Envelope, ItemHash } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';
import type { NetworkCode } from '../codes.ts';
import type { AnyProcessedMessage } from '../records.ts';
import type { LedgerTables } from './tables.ts';

/** Something a pending message waits for: a file's hash, a message's item_hash, or an aggregate's owner and key. */
export interface Wait {
  readonly kind: 'file' | 'message' | 'aggregate';
  readonly wanted: string;
}

/** What rules may ask of a message later, forgotten or not. */
export interface Traits {
  readonly topic?: string | undefined;
  /** The message that it amends, replaces or updates. */
  readonly updates?: string | undefined;
  readonly allowAmend?: boolean | undefined;
}

/** What applying a message came to. Only `processed` has changed the index. */
export type Outcome =
  | {
      readonly status: 'processed';
      readonly traits: Traits;
      /** In force until now. */
      readonly forgotten: readonly AnyProcessedMessage[];
      /** Refs that lead to another message now. */
      readonly updatedRefs: readonly string[];
    }
  /** It belongs to what is forgotten already, by these. */
  | { readonly status: 'forgotten'; readonly traits: Traits; readonly by: readonly ItemHash[] }
  | { readonly status: 'pending'; readonly code: NetworkCode; readonly errors: string[]; readonly waits: Wait[] }
  | { readonly status: 'rejected'; readonly code: NetworkCode; readonly errors: string[] };

/** What an apply function gets: the message, the index it may change, and what was read from disk before. */
export interface Applying<T extends MessageType> {
  readonly envelope: Envelope;
  readonly content: ContentOf<T>;
  readonly tables: LedgerTables;
  /** Of the file that a STORE names; undefined if it is not here. */
  readonly fileSizeBytes: number | undefined;
}

/** The message is in force. */
export function processed(
  traits: Traits = {},
  { forgotten = [], updatedRefs = [] }: { forgotten?: AnyProcessedMessage[]; updatedRefs?: string[] } = {},
): Outcome {
  return { status: 'processed', traits, forgotten, updatedRefs };
}

/** The message can never be in force as it is. */
export function rejected(code: NetworkCode, error: string): Outcome {
  return { status: 'rejected', code, errors: [error] };
}

/** The message waits; `errors` has one line for each thing it waits for. */
export function pending(code: NetworkCode, waits: Wait[]): Outcome {
  const errors = waits.map(
    ({ kind, wanted }) => `Cannot find the ${kind} '${wanted}': not here yet, expected it to come`,
  );
  return { status: 'pending', code, errors, waits };
}

/** Whether a message that another one refers to has yet to come. */
export function isAwaited(target: { status: string } | undefined): boolean {
  return target === undefined || target.status === 'pending' || target.status === 'rejected';
}
