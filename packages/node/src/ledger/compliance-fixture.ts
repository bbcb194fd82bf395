import type { ContentStore } from '../content/index.ts';
import type { Ledger } from './log.ts';

/** A ledger to be tested, made anew for each test. */
export interface LedgerFixture extends AsyncDisposable {
  readonly ledger: Ledger;
  readonly content: ContentStore;
  /** Ends the ledger as a restart of the process would, and opens it on the same log. */
  reopen(): Promise<Ledger>;
}

/** Makes one. */
export type MakeLedger = () => Promise<LedgerFixture>;
