import { type Envelope, MessageError, parseContent } from '@vmlet/messages';
import { notPermitted } from '../check/examine.ts';
import { NetworkCode } from '../codes.ts';
import { applyForget } from './forget.ts';
import { type Outcome, pending, processed, rejected } from './outcome.ts';
import { applyProgram } from './program.ts';
import { applyStore } from './store.ts';
import type { LedgerTables } from './tables.ts';

/** What was read from disk about a message before its transaction, which cannot wait for a disk. */
export interface Facts {
  /** The text of the content; undefined while it is not here. */
  readonly text: string | undefined;
  /** Why the content can never be read. */
  readonly unreadable: string | undefined;
  /** Of the file that a STORE names; undefined while it is not here. */
  readonly fileSizeBytes: number | undefined;
}

/** Applies a message whose signature was verified. Runs within the transaction that records its outcome. */
export function apply(envelope: Envelope, facts: Facts, { tables }: { tables: LedgerTables }): Outcome {
  const { text, unreadable, fileSizeBytes } = facts;
  if (unreadable !== undefined) return rejected(NetworkCode.FORMAT, unreadable);
  if (text === undefined) {
    return pending(NetworkCode.CONTENT_UNAVAILABLE, [{ kind: 'file', wanted: envelope.item_hash }]);
  }
  try {
    return applyText(envelope, { text, fileSizeBytes, tables });
  } catch (error) {
    if (error instanceof MessageError) return rejected(NetworkCode.FORMAT, error.message);
    throw error;
  }
}

interface Inputs {
  text: string;
  fileSizeBytes: number | undefined;
  tables: LedgerTables;
}

function applyText(envelope: Envelope, { text, ...rest }: Inputs): Outcome {
  const content = parseContent(envelope.type, text);
  const denied = notPermitted(envelope, content);
  if (denied !== undefined) return rejected(NetworkCode.PERMISSION, denied.errors.join('; '));
  switch (envelope.type) {
    case 'STORE':
      return applyStore({ envelope, content: parseContent('STORE', text), ...rest });
    case 'PROGRAM':
      return applyProgram({ envelope, content: parseContent('PROGRAM', text), ...rest });
    case 'FORGET':
      return applyForget({ envelope, content: parseContent('FORGET', text), ...rest });
    // In force as data; what they do comes with the rest of the network API.
    case 'POST':
    case 'AGGREGATE':
    case 'INSTANCE':
      return processed(content);
  }
}
