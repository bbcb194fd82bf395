import type { FileHash } from '@vmlet/messages';
import type { LedgerDatabase } from './ledger-database.ts';
import type { Row } from './rows.ts';

type Place = Pick<Row, 'position' | 'processed_seq'>;
type Totals = { count: number; bytes: number | null };

/** The plus keeps SQLite from taking the index of the status, and sorting all there is for each page. */
export const SINCE = `SELECT * FROM messages WHERE processed_seq > ? AND +status IN ('processed', 'removing')
  ORDER BY processed_seq LIMIT ?`;
const NEXT_SEQ = '(SELECT coalesce(max(processed_seq), 0) + 1 FROM messages)';

/** Prepares the statements of the table `messages`. */
export function prepareMessages(database: LedgerDatabase) {
  return { ...writing(database), ...reading(database), ...waiting(database) };
}

function writing(database: LedgerDatabase) {
  return {
    insert: database.prepare<[object], Place>(`
      INSERT INTO messages
        (item_hash, status, type, chain, sender, channel, time, item_type, item_content, signature, received_ms,
          error_code, error_details, address, content, size_bytes, signed_time, topic, updates, allow_amend, tries,
          next_attempt_ms, processed_seq)
      VALUES (@item_hash, @status, @type, @chain, @sender, @channel, @time, @item_type, @item_content, @signature,
        @received_ms, @error_code, @error_details, @address, @content, coalesce(@size_bytes, 0), @signed_time, @topic,
        @updates, @allow_amend, coalesce(@tries, 0), @next_attempt_ms,
        CASE WHEN @status = 'processed' THEN ${NEXT_SEQ} END)
      RETURNING position, processed_seq`),
    settle: database.prepare<[object], Place>(`
      UPDATE messages SET status = @status, error_code = @error_code, error_details = @error_details,
        address = coalesce(@address, address), signed_time = coalesce(@signed_time, signed_time),
        item_content = CASE WHEN @status = 'forgotten' THEN NULL ELSE item_content END,
        content = CASE WHEN @status = 'forgotten' THEN NULL ELSE coalesce(@content, content) END,
        size_bytes = coalesce(@size_bytes, size_bytes), topic = coalesce(@topic, topic),
        updates = coalesce(@updates, updates), allow_amend = coalesce(@allow_amend, allow_amend),
        tries = coalesce(@tries, tries), next_attempt_ms = coalesce(@next_attempt_ms, next_attempt_ms),
        processed_seq = CASE WHEN @status = 'processed' THEN ${NEXT_SEQ} ELSE processed_seq END
      WHERE item_hash = @item_hash
      RETURNING position, processed_seq`),
    delete: database.prepare<[string]>('DELETE FROM messages WHERE item_hash = ?'),
    replaceCopy: database.prepare(`
      UPDATE messages SET type = @type, chain = @chain, sender = @sender, time = @time, channel = @channel,
        signature = @signature, item_type = @item_type,
        content = CASE WHEN @text IS NULL THEN content END, item_content = coalesce(@text, item_content)
      WHERE item_hash = @item_hash`),
    copies: database.prepare<[string], { copy: string }>(
      'SELECT copy FROM message_copies WHERE item_hash = ? ORDER BY rowid',
    ),
    insertCopy: database.prepare<[string, string]>('INSERT INTO message_copies (item_hash, copy) VALUES (?, ?)'),
    clearCopies: database.prepare<[string]>('DELETE FROM message_copies WHERE item_hash = ?'),
    setRemoving: database.prepare<[string, string]>(
      "UPDATE messages SET status = 'removing', reason = ? WHERE item_hash = ?",
    ),
    restore: database.prepare<[string]>("UPDATE messages SET status = 'processed', reason = NULL WHERE item_hash = ?"),
    remove: database.prepare<[number, string]>(
      "UPDATE messages SET status = 'removed', removed_ms = ?, item_content = NULL, content = NULL WHERE item_hash = ?",
    ),
    pruneRejected: database.prepare<[number]>(`
      DELETE FROM messages WHERE status = 'rejected' AND position <= (
        SELECT position FROM messages WHERE status = 'rejected' ORDER BY position DESC LIMIT 1 OFFSET ?)`),
  };
}

function reading(database: LedgerDatabase) {
  return {
    find: database.prepare<[string], Row>('SELECT * FROM messages WHERE item_hash = ?'),
    since: database.prepare<[number, number], Row>(SINCE),
    newest: database.prepare<[], { seq: number }>('SELECT coalesce(max(processed_seq), 0) AS seq FROM messages'),
  };
}

function waiting(database: LedgerDatabase) {
  return {
    pending: database.prepare<[], Row>(
      "SELECT item_hash FROM messages WHERE status = 'pending' ORDER BY coalesce(signed_time, time), position",
    ),
    due: database.prepare<[number, number], Row>(`
      SELECT item_hash FROM messages WHERE status = 'pending' AND next_attempt_ms <= ?
      ORDER BY next_attempt_ms LIMIT ?`),
    nextDue: database.prepare<[], Row>(
      "SELECT min(next_attempt_ms) AS next_attempt_ms FROM messages WHERE status = 'pending'",
    ),
    pendingTotals: database.prepare<[], Totals>(
      "SELECT count(*) AS count, sum(size_bytes) AS bytes FROM messages WHERE status = 'pending'",
    ),
    pendingTotalsOf: database.prepare<[string], Totals>(
      "SELECT count(*) AS count, sum(size_bytes) AS bytes FROM messages WHERE status = 'pending' AND sender = ?",
    ),
    clearWaits: database.prepare<[string]>('DELETE FROM waits WHERE item_hash = ?'),
    insertWait: database.prepare<[string, string, string]>(
      'INSERT INTO waits (item_hash, kind, wanted) VALUES (?, ?, ?)',
    ),
    waitingFor: database.prepare<[object], Row>(`
      SELECT waits.item_hash FROM waits JOIN messages USING (item_hash)
      WHERE kind = @kind AND wanted = @wanted AND NOT EXISTS (
        SELECT 1 FROM waits AS other LEFT JOIN messages AS target ON target.item_hash = other.wanted
        WHERE other.item_hash = waits.item_hash AND other.kind = 'message' AND other.wanted <> @wanted
          AND (target.status IS NULL OR target.status IN ('pending', 'rejected')))
      ORDER BY coalesce(signed_time, time), position`),
    filesWantedBy: database.prepare<[string], { wanted: FileHash }>(
      "SELECT wanted FROM waits WHERE item_hash = ? AND kind = 'file'",
    ),
  };
}
