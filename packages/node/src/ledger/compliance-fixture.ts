import type { ContentStore } from '../content/index.ts';
import type { Ledger } from './log.ts';
import { bytesOf } from './testing.ts';

/** A ledger to be tested, made anew for each test. */
export interface LedgerFixture extends AsyncDisposable {
  readonly ledger: Ledger;
  readonly content: ContentStore;
  /** Ends the ledger as a restart of the process would, and opens it on the same log. */
  reopen(): Promise<Ledger>;
}

/** What a test wants of it. */
export interface FixtureOptions {
  /** How long a pending message waits before it is tried again. */
  delayMs?: number;
  /** How many messages of one sender may wait. */
  pendingOfSender?: number;
  /** How many rejected messages are kept. */
  rejected?: number;
}

/** Makes one. */
export type MakeLedger = (options?: FixtureOptions) => Promise<LedgerFixture>;

/** Hands messages in, one after the other. Answers with the code of each, or its status where there is none. */
export async function codesOf({ ledger }: Pick<LedgerFixture, 'ledger'>, messages: readonly unknown[]) {
  const codes: (number | string)[] = [];
  for (const message of messages) {
    const { status, reason } = await ledger.accept(message);
    codes.push(reason?.code ?? status);
  }
  return codes;
}

/** Stores files of these texts. */
export async function putFiles({ content }: Pick<LedgerFixture, 'content'>, ...texts: string[]): Promise<void> {
  for (const text of texts) await content.put(bytesOf(text), { maxBytes: 9_999_999 });
}
