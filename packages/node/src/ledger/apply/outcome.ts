import type { Envelope } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';
import type { NetworkCode } from '../codes.ts';
import type { AnyProcessedMessage } from '../records.ts';
import type { LedgerTables } from './tables.ts';

/** Something a pending message waits for: a file's hash or a message's item_hash. */
export interface Wait {
  readonly kind: 'file' | 'message';
  readonly wanted: string;
}

/** What applying a message came to. Only `processed` has changed the index. */
export type Outcome =
  | {
      readonly status: 'processed';
      /** The owner. */
      readonly address: string;
      readonly forgotten: readonly AnyProcessedMessage[];
    }
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

/** The message is in force, and these are so no longer. */
export function processed(content: { address: string }, forgotten: readonly AnyProcessedMessage[] = []): Outcome {
  return { status: 'processed', address: content.address, forgotten };
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
