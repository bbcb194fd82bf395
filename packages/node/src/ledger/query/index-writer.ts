import type { AnyProcessedMessage } from '../records.ts';
import type { LedgerDatabase } from '../sqlite/ledger-database.ts';

/** A message that came in force, as lists need it. */
export interface IndexedRow {
  /** Where its row of the table `messages` stands. */
  readonly position: number;
  /** The order in which messages came in force. */
  readonly processedSeq: number;
  readonly message: AnyProcessedMessage;
  /** `content.address` in the form addresses are looked up by: EVM ones in lower case. */
  readonly owner: string;
}

/** Keeps what lists are read from. */
export interface IndexWriter {
  /** Called within the transaction that puts a message in force. */
  indexMessage(row: IndexedRow): void;
  /** Called within the transaction that takes it out: forgotten or removed. */
  unindexMessage(row: IndexedRow): void;
  /** Called within the transaction that puts a copy of a message in force in place, with another time or channel. */
  reindexMessage(row: IndexedRow): void;
}

/** Makes the writer for a database. */
export function createIndexWriter(_database: LedgerDatabase): IndexWriter {
  return { indexMessage() {}, unindexMessage() {}, reindexMessage() {} };
}
