import { createHash } from 'node:crypto';
import { addressKey } from '../address-key.ts';
import type { LedgerDatabase } from '../sqlite/ledger-database.ts';
import type { MessageStatus } from '../state.ts';

/** A message as a test makes it: rows are written as the ledger writes them, without signatures. */
export interface MadeMessage {
  readonly hash: string;
  readonly status: MessageStatus;
  readonly type: string;
  readonly chain: string;
  readonly sender: string;
  readonly channel: string | null;
  readonly time: number;
  readonly content: Readonly<Record<string, unknown>>;
}

/** A hash from a number. */
export function hashOf(number: number): string {
  return createHash('sha256').update(String(number)).digest('hex');
}

/** Writes and changes rows of messages. */
export class MessageRows {
  readonly #database: LedgerDatabase;

  constructor(database: LedgerDatabase) {
    this.#database = database;
  }

  insert({ hash, status, type, chain, sender, channel, time, content }: MadeMessage): void {
    const text = JSON.stringify(content);
    const address = typeof content.address === 'string' ? addressKey(content.address) : null;
    this.#database
      .prepare(`
        INSERT INTO messages (item_hash, status, type, chain, sender, channel, time, item_type, item_content, signature,
          address, received_ms) VALUES (?, ?, ?, ?, ?, ?, ?, 'inline', ?, '0x00', ?, ?)`)
      .run(hash, status, type, chain, sender, channel, time, text, address, Math.floor(time * 1000));
  }

  setStatus(hash: string, status: MessageStatus): void {
    this.#database.prepare('UPDATE messages SET status = ? WHERE item_hash = ?').run(status, hash);
  }

  setTime(hash: string, time: number): void {
    this.#database.prepare('UPDATE messages SET time = ? WHERE item_hash = ?').run(time, hash);
  }

  delete(hash: string): void {
    this.#database.prepare('DELETE FROM messages WHERE item_hash = ?').run(hash);
  }
}
