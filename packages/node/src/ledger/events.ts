import type { ItemHash } from '@vmlet/messages';
import type { Reason } from './reason.ts';
import type { AnyProcessedMessage, Sequenced } from './records.ts';

interface Happened<T extends string> {
  readonly type: T;
  /** The message it happened to. */
  readonly itemHash: ItemHash;
}

interface HappenedInForce<T extends string> extends Happened<T> {
  readonly message: AnyProcessedMessage;
}

/**
 * A change of the ledger, told after it is committed.
 *
 * - `pending`: a message waits, for the first time or for something else than before
 * - `processed`: it is in force
 * - `rejected`: it never will be, unless it is sent again
 * - `forgotten`: its owner took it back; `message` is what it was
 * - `removing`, `restored`, `removed`: this node is about to give it up, keeps it after all, has given it up
 * - `updated`: what one of `refs` leads to with `use_latest` is another now. `itemHash` is the message that made it so
 */
export type LedgerEvent =
  | (Happened<'pending'> & { readonly reason: Reason })
  | (HappenedInForce<'processed'> & Sequenced)
  | (Happened<'rejected'> & { readonly reason: Reason })
  | (HappenedInForce<'forgotten'> & { readonly forgottenBy: ItemHash })
  | (HappenedInForce<'removing'> & { readonly reason: string })
  | HappenedInForce<'restored'>
  | HappenedInForce<'removed'>
  | (Happened<'updated'> & { readonly refs: readonly string[] });

/** Called once for each event, in the order of commitment. It MUST NOT throw and cannot delay the ledger. */
export type LedgerListener = (event: LedgerEvent) => void;
