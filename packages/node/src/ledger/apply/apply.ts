import type { Envelope } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';
import { deedOf, notPermitted } from '../check/permission.ts';
import { NetworkCode } from '../codes.ts';
import type { Reason } from '../reason.ts';
import { applyAggregate } from './aggregate.ts';
import { applyForget } from './forget.ts';
import { applyInstance, applyProgram } from './machine.ts';
import { type Applying, isAwaited, type Outcome, pending, rejected } from './outcome.ts';
import { applyPost } from './post.ts';
import { applyStore } from './store.ts';
import type { LedgerTables } from './tables.ts';

/** What was read from disk about a message before its transaction, which cannot wait for a disk. */
export interface Facts {
  /** The text of the content; undefined while it is not here. */
  readonly text: string | undefined;
  /** The same, parsed. */
  readonly content: ContentOf<MessageType> | undefined;
  /** Why the content can never be read. */
  readonly unreadable: string | undefined;
  /** Of the file that a STORE names; undefined while it is not here. */
  readonly fileSizeBytes: number | undefined;
}

/** Applies a message whose signature was verified. Runs within the transaction that records its outcome. */
export function apply(envelope: Envelope, facts: Facts, { tables }: { tables: LedgerTables }): Outcome {
  const { content, unreadable, fileSizeBytes } = facts;
  if (unreadable !== undefined) return rejected(NetworkCode.FORMAT, unreadable);
  if (content === undefined) {
    return pending(NetworkCode.CONTENT_UNAVAILABLE, [{ kind: 'file', wanted: envelope.item_hash }]);
  }
  // Whether an amend is permitted depends on what it amends.
  const denied = isEarlyAmend(envelope, { content, tables }) ? undefined : denialOf(envelope, { content, tables });
  if (denied !== undefined) return { status: 'rejected', code: NetworkCode.PERMISSION, errors: [...denied.errors] };
  return APPLY[envelope.type]({ envelope, content, tables, fileSizeBytes });
}

interface Within {
  content: ContentOf<MessageType>;
  tables: Pick<LedgerTables, 'message' | 'security'>;
}

/** Why a message is not for this sender to write; undefined if it is, or if that is not known yet. */
export function denialOf(envelope: Envelope, { content, tables }: Within): Reason | undefined {
  const original = originalOf(envelope, { content, tables });
  const deed = deedOf(envelope, content, { topic: original?.topic });
  return notPermitted(envelope, deed, (owner) => tables.security(owner));
}

/** Whether it amends what is not here yet. */
export function isEarlyAmend(envelope: Envelope, { content, tables }: Within): boolean {
  if (!isAmend(envelope, content)) return false;
  const original = originalOf(envelope, { content, tables });
  return isAwaited(original);
}

function isAmend(envelope: Envelope, content: ContentOf<MessageType>): content is ContentOf<'POST'> {
  return envelope.type === 'POST' && (content as ContentOf<'POST'>).type === 'amend';
}

function originalOf(envelope: Envelope, { content, tables }: Within) {
  if (!isAmend(envelope, content) || typeof content.ref !== 'string') return undefined;
  return tables.message(content.ref);
}

// The compiler does not relate an envelope's type to its content's, which were read together.
const APPLY: Record<MessageType, (applying: Applying<MessageType>) => Outcome> = {
  STORE: (applying) => applyStore(applying as Applying<'STORE'>),
  PROGRAM: (applying) => applyProgram(applying as Applying<'PROGRAM'>),
  INSTANCE: (applying) => applyInstance(applying as Applying<'INSTANCE'>),
  FORGET: (applying) => applyForget(applying as Applying<'FORGET'>),
  POST: (applying) => applyPost(applying as Applying<'POST'>),
  AGGREGATE: (applying) => applyAggregate(applying as Applying<'AGGREGATE'>),
};
