import type { FileHash } from '@vmlet/messages';
import { type openDatabase, transact } from '../store/index.ts';

type NodeDatabase = ReturnType<typeof openDatabase>;

/** Since when nothing has held a file, for those that are known to be such. */
export class UnheldMarks {
  readonly #database: NodeDatabase;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: NodeDatabase) {
    this.#database = database;
    this.#statements = prepare(database);
  }

  /** In milliseconds since 1970; undefined for a file that is not marked. */
  since(fileHash: FileHash): number | undefined {
    return this.#statements.since.get(fileHash)?.since_ms;
  }

  /** Marks files from now on, and clears the marks of others, in one transaction. */
  change({ mark, clear, nowMs }: { mark: readonly FileHash[]; clear: readonly FileHash[]; nowMs: number }): void {
    if (mark.length + clear.length === 0) return;
    transact(this.#database, () => {
      for (const fileHash of mark) this.#statements.mark.run(fileHash, nowMs);
      for (const fileHash of clear) this.#statements.clear.run(fileHash);
    });
  }

  /** The marked files, in no order. */
  all(): FileHash[] {
    return this.#statements.all.all().map((row) => row.file_hash);
  }
}

function prepare(database: NodeDatabase) {
  return {
    since: database.prepare<[string], { since_ms: number }>('SELECT since_ms FROM unheld_files WHERE file_hash = ?'),
    mark: database.prepare<[string, number]>(
      'INSERT INTO unheld_files (file_hash, since_ms) VALUES (?, ?) ON CONFLICT DO NOTHING',
    ),
    clear: database.prepare<[string]>('DELETE FROM unheld_files WHERE file_hash = ?'),
    all: database.prepare<[], { file_hash: FileHash }>('SELECT file_hash FROM unheld_files'),
  };
}
