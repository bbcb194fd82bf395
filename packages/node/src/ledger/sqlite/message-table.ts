import type { Envelope, FileHash } from '@vmlet/messages';
import type { Wait } from '../apply/outcome.ts';
import type { Reason } from '../reason.ts';
import type { MessageStatus } from '../state.ts';
import type { LedgerDatabase } from './ledger-database.ts';
import type { Row } from './rows.ts';

/** What an outcome writes into a message's row. */
export interface Settled {
  status: MessageStatus;
  reason?: Reason | undefined;
  waits?: readonly Wait[];
  /** The owner, once known. */
  address?: string | undefined;
  /** The content's text where it did not come in the message. */
  content?: string | undefined;
}

/** The messages and what they wait for. */
export class MessageTable {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: LedgerDatabase) {
    this.#statements = prepare(database);
  }

  find(itemHash: string): Row | undefined {
    return this.#statements.find.get(itemHash);
  }

  insertPending(envelope: Envelope, { receivedMs }: { receivedMs: number }): void {
    const { channel = null, item_content = null } = envelope;
    this.#statements.insert.run({ ...envelope, channel, item_content, received_ms: receivedMs });
  }

  delete(itemHash: string): void {
    this.#statements.delete.run(itemHash);
  }

  settle(itemHash: string, settled: Settled): void {
    const { status, reason, waits = [], address, content } = settled;
    this.#statements.settle.run({
      item_hash: itemHash,
      status,
      error_code: reason?.code ?? null,
      error_details: reason === undefined ? null : JSON.stringify(reason.errors),
      address: address ?? null,
      content: content ?? null,
    });
    this.#statements.clearWaits.run(itemHash);
    for (const { kind, wanted } of waits) this.#statements.insertWait.run(itemHash, kind, wanted);
  }

  /** Puts another copy's unsigned members in place. */
  updateUnsigned({ item_hash, time, channel, signature }: Envelope): void {
    this.#statements.updateUnsigned.run({ item_hash, time, channel: channel ?? null, signature });
  }

  /** The messages in force that came in force after another, in that order. */
  since(seq: number, { limit }: { limit: number }): Row[] {
    return this.#statements.since.all(seq, limit);
  }

  startRemoving(itemHash: string, { reason }: { reason: string }): void {
    this.#statements.setRemoving.run(reason, itemHash);
  }

  restore(itemHash: string): void {
    this.#statements.restore.run(itemHash);
  }

  /** Leaves a skeleton. */
  remove(itemHash: string, { removedMs }: { removedMs: number }): void {
    this.#statements.remove.run(removedMs, itemHash);
  }

  /** The pending messages, oldest first. */
  pending(): string[] {
    return this.#statements.pending.all().map((row) => row.item_hash);
  }

  /** The pending messages that wait for something, oldest first. */
  waitingFor(wait: Wait): string[] {
    return this.#statements.waitingFor.all(wait.kind, wait.wanted).map((row) => row.item_hash);
  }

  /** The files a message waits for. */
  filesWantedBy(itemHash: string): FileHash[] {
    return this.#statements.filesWantedBy.all(itemHash).map((row) => row.wanted);
  }

  /** Drops all but the newest rejected messages: anyone can send those, so they must not fill the disk. */
  pruneRejected({ keep }: { keep: number }): void {
    this.#statements.pruneRejected.run(keep);
  }
}

function prepare(database: LedgerDatabase) {
  return {
    find: database.prepare<[string], Row>('SELECT * FROM messages WHERE item_hash = ?'),
    insert: database.prepare(`
      INSERT INTO messages
        (item_hash, status, type, chain, sender, channel, time, item_type, item_content, signature, received_ms)
      VALUES (@item_hash, 'pending', @type, @chain, @sender, @channel, @time, @item_type, @item_content, @signature,
        @received_ms)`),
    delete: database.prepare<[string]>('DELETE FROM messages WHERE item_hash = ?'),
    settle: database.prepare(`
      UPDATE messages SET status = @status,
        processed_seq = CASE WHEN @status = 'processed'
          THEN (SELECT coalesce(max(processed_seq), 0) + 1 FROM messages) ELSE processed_seq END, error_code = @error_code, error_details = @error_details,
        address = coalesce(@address, address), content = coalesce(@content, content)
      WHERE item_hash = @item_hash`),
    since: database.prepare<[number, number], Row>(`
      SELECT * FROM messages WHERE processed_seq > ? AND status IN ('processed', 'removing')
      ORDER BY processed_seq LIMIT ?`),
    setRemoving: database.prepare<[string, string]>(
      "UPDATE messages SET status = 'removing', reason = ? WHERE item_hash = ?",
    ),
    restore: database.prepare<[string]>("UPDATE messages SET status = 'processed', reason = NULL WHERE item_hash = ?"),
    remove: database.prepare<[number, string]>(
      "UPDATE messages SET status = 'removed', removed_ms = ?, item_content = NULL, content = NULL WHERE item_hash = ?",
    ),
    updateUnsigned: database.prepare(`
      UPDATE messages SET time = @time, channel = @channel, signature = @signature WHERE item_hash = @item_hash`),
    pending: database.prepare<[], Row>("SELECT item_hash FROM messages WHERE status = 'pending' ORDER BY position"),
    clearWaits: database.prepare<[string]>('DELETE FROM waits WHERE item_hash = ?'),
    insertWait: database.prepare<[string, string, string]>(
      'INSERT INTO waits (item_hash, kind, wanted) VALUES (?, ?, ?)',
    ),
    waitingFor: database.prepare<[string, string], Row>(`
      SELECT item_hash FROM waits JOIN messages USING (item_hash)
      WHERE kind = ? AND wanted = ? ORDER BY position`),
    filesWantedBy: database.prepare<[string], { wanted: FileHash }>(
      "SELECT wanted FROM waits WHERE item_hash = ? AND kind = 'file'",
    ),
    pruneRejected: database.prepare<[number]>(`
      DELETE FROM messages WHERE status = 'rejected' AND position <= (
        SELECT position FROM messages WHERE status = 'rejected' ORDER BY position DESC LIMIT 1 OFFSET ?)`),
  };
}
