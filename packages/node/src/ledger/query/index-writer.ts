import type { AnyProcessedMessage } from '../records.ts';
import type { LedgerDatabase } from '../sqlite/ledger-database.ts';
import { ListBatch, prepareBatch } from './list-batch.ts';
import { placesOf, type QueuedRow } from './places.ts';

/** Messages whose places are renewed together; what they have in common is written once. */
const BATCH_MESSAGES = 2000;

/**
 * Keeps what lists are read from. Triggers note every message whose row was changed; this gives those their places. To be
 * called within the transaction that made the changes, once for all of them: what lists say is then committed with them.
 */
export interface IndexWriter {
  renew(): void;
  /** Called within the transaction that puts a message in force. */
  indexMessage(row: IndexedRow): void;
  /** Called within the transaction that takes it out: forgotten or removed. */
  unindexMessage(row: IndexedRow): void;
  /** Called within the transaction that puts a copy of a message in force in place, with another time or channel. */
  reindexMessage(row: IndexedRow): void;
}

/** A message that came in force, as lists need it. */
export interface IndexedRow {
  /** Where its row of the table `messages` stands. */
  readonly position: number;
  /** The order in which messages came in force. */
  readonly processedSeq: number;
  readonly message: AnyProcessedMessage;
  /** `content.address` in the form addresses are looked up by. */
  readonly owner: string;
}

/** Makes the writer for a database. */
export function createIndexWriter(database: LedgerDatabase): IndexWriter {
  const queue = prepareQueue(database);
  const statements = prepareBatch(database);
  const renew = () => {
    for (let positions = queue.next.all(); positions.length > 0; positions = queue.next.all()) {
      const batch = new ListBatch(statements);
      // First all that goes: places are ordered by what the messages say, and a deleted one says nothing any more.
      for (const position of positions) batch.remove(position);
      for (const position of positions) {
        const row = queue.row.get(position);
        if (row === undefined) continue;
        for (const place of placesOf(row)) batch.put(position, row.item_hash, place);
      }
      batch.flush();
      queue.done.run(positions.at(-1) ?? 0);
    }
  };
  return { renew, indexMessage: renew, unindexMessage: renew, reindexMessage: renew };
}

function prepareQueue(database: LedgerDatabase) {
  return {
    next: database
      .prepare<[], number>(`SELECT position FROM list_queue ORDER BY position LIMIT ${BATCH_MESSAGES}`)
      .pluck(),
    done: database.prepare<[number]>('DELETE FROM list_queue WHERE position <= ?'),
    row: database.prepare<[number], QueuedRow>(`
      SELECT messages.*, posts.post_type, posts.ref AS post_ref, posts.address AS post_address, posts.amends,
        posts.last_updated, coalesce(latest.item_content, latest.content) AS latest_text
      FROM messages LEFT JOIN posts USING (item_hash) LEFT JOIN messages AS latest ON latest.item_hash = posts.latest
      WHERE messages.position = ?`),
  };
}
