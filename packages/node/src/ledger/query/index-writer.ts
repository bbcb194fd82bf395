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
}

/** Makes the writer for a database. */
export function createIndexWriter(database: LedgerDatabase): IndexWriter {
  const queue = prepareQueue(database);
  const statements = prepareBatch(database);
  const renew = () => {
    for (let queued = queue.next.all(); queued.length > 0; queued = queue.next.all()) {
      const batch = new ListBatch(statements);
      // First all that goes: places are ordered by what the messages say, and a deleted one says nothing any more.
      for (const { position, is_new } of queued) if (is_new === 0) batch.remove(position);
      for (const { position } of queued) {
        const row = queue.row.get(position);
        if (row === undefined) continue;
        for (const place of placesOf(row)) batch.put(position, row.item_hash, place);
      }
      batch.flush();
      queue.done.run(queued.at(-1)?.position ?? 0);
    }
  };
  return { renew };
}

function prepareQueue(database: LedgerDatabase) {
  return {
    next: database.prepare<[], { position: number; is_new: number }>(
      `SELECT position, is_new FROM list_queue ORDER BY position LIMIT ${BATCH_MESSAGES}`,
    ),
    done: database.prepare<[number]>('DELETE FROM list_queue WHERE position <= ?'),
    row: database.prepare<[number], QueuedRow>(`
      SELECT messages.item_hash, messages.status, messages.type, messages.sender, messages.chain, messages.channel,
        messages.time, messages.received_ms, messages.address, messages.item_content, messages.content,
        posts.post_type, posts.ref AS post_ref, posts.address AS post_address, posts.amends, posts.last_updated,
        coalesce(latest.item_content, latest.content) AS latest_text
      FROM messages LEFT JOIN posts ON messages.type = 'POST' AND posts.item_hash = messages.item_hash
        LEFT JOIN messages AS latest ON latest.item_hash = posts.latest AND posts.latest <> messages.item_hash
      WHERE messages.position = ?`),
  };
}
