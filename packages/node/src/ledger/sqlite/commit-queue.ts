import { transact } from '../../store/index.ts';
import type { LedgerEvent } from '../events.ts';
import type { LedgerDatabase } from './ledger-database.ts';

/** More would hold up for too long what else the process has to do. */
const MAX_BATCH = 256;

/** What a change came to. */
export interface Committed<T> {
  readonly events: readonly LedgerEvent[];
  readonly value: T;
}

/** Runs within a transaction, and again in another one if that failed. It MUST NOT wait for anything. */
export type Change<T> = () => Committed<T>;

/** What goes with every transaction. */
interface Steps {
  /** Called within it, after its changes. */
  beforeCommit: () => void;
  /** Called with each event, after the commit and in its order, before the change is answered for. */
  tell: (event: LedgerEvent) => void;
}

interface Waiting {
  readonly change: Change<unknown>;
  readonly resolve: (committed: Committed<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

type Attempt = { committed: Committed<unknown> } | { error: unknown };

/**
 * Commits changes that come at the same time together: one transaction, one write to disk. A batch is closed by the
 * event loop's turn, so that a change by itself waits for nobody.
 */
export class CommitQueue {
  readonly #database: LedgerDatabase;
  readonly #steps: Steps;
  #waiting: Waiting[] = [];

  constructor(database: LedgerDatabase, steps: Steps) {
    this.#database = database;
    this.#steps = steps;
  }

  /**
   * Commits a change. When the promise resolves it is on disk, and its events have been told.
   * @throws VmletError `STORAGE_FULL`, `STORAGE_FAILED`; whatever the change throws. Then it did nothing
   */
  run<T>(change: Change<T>): Promise<Committed<T>> {
    const { promise, waiting } = waitingFor(change);
    this.#waiting.push(waiting);
    if (this.#waiting.length === 1) setImmediate(() => this.#flush());
    return promise;
  }

  /** As `run`, all of them in one transaction, however many they are. */
  async runTogether<T>(changes: readonly Change<T>[]): Promise<Committed<T>[]> {
    const all = changes.map((change) => waitingFor(change));
    setImmediate(() => this.#settle(all.map(({ waiting }) => waiting)));
    return await Promise.all(all.map(({ promise }) => promise));
  }

  #flush(): void {
    const batch = this.#waiting.splice(0, MAX_BATCH);
    if (this.#waiting.length > 0) setImmediate(() => this.#flush());
    this.#settle(batch);
  }

  #settle(batch: readonly Waiting[]): void {
    for (const [index, attempt] of this.#commit(batch).entries()) {
      const { resolve, reject } = batch[index] ?? {};
      if ('committed' in attempt) resolve?.(attempt.committed);
      else reject?.(attempt.error);
    }
  }

  #commit(batch: readonly Waiting[]): Attempt[] {
    let attempts: Attempt[];
    try {
      attempts = transact(this.#database, () => {
        // A message's row is written after what refers to it: only then is its state known.
        this.#database.pragma('defer_foreign_keys = ON');
        const made = batch.map(({ change }) => this.#attempt(change));
        this.#steps.beforeCommit();
        return made;
      });
    } catch (error) {
      // All of them were undone. Those that fit on the disk alone must not pay for one that does not.
      if (batch.length > 1) return batch.flatMap((one) => this.#commit([one]));
      return batch.map(() => ({ error }));
    }
    for (const attempt of attempts) {
      if ('committed' in attempt) for (const event of attempt.committed.events) this.#steps.tell(event);
    }
    return attempts;
  }

  #attempt(change: Change<unknown>): Attempt {
    try {
      // Within a transaction another one is a savepoint: what one change leaves half done is undone alone.
      return { committed: transact(this.#database, change) };
    } catch (error) {
      // A full disk makes SQLite undo the whole transaction, and the next change would run outside of any.
      if (!this.#database.inTransaction) throw error;
      return { error };
    }
  }
}

function waitingFor<T>(change: Change<T>): { promise: Promise<Committed<T>>; waiting: Waiting } {
  const { promise, resolve, reject } = Promise.withResolvers<Committed<T>>();
  return { promise, waiting: { change, reject, resolve: (committed) => resolve(committed as Committed<T>) } };
}
