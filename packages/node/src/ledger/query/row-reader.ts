import type { LedgerDatabase } from '../sqlite/ledger-database.ts';
import { type Row, textOf } from '../sqlite/rows.ts';
import type { MessageStatus } from '../state.ts';

/** A message as a list has it. */
export interface ListedMessage {
  readonly status: MessageStatus;
  readonly sender: string;
  readonly chain: string;
  readonly signature: string;
  readonly type: string;
  readonly itemContent: string | null;
  readonly itemType: string;
  readonly itemHash: string;
  readonly time: number;
  readonly channel: string | null;
  /** The content as it was signed, JSON; null where it is not here. */
  readonly contentText: string | null;
  readonly sizeBytes: number;
  /** Who forgot it, if anyone did. */
  readonly forgottenBy: readonly string[] | undefined;
}

/** A post as a list has it: its original, and the message whose content counts. */
export interface ListedPost {
  readonly original: ListedMessage;
  readonly latest: ListedMessage;
  readonly postType: string;
  readonly ref: string | null;
  /** `content.time` of the newest amend or the original, in seconds. */
  readonly lastUpdated: number;
  /** `content.time` of the original. */
  readonly created: number;
}

/** A message of any status, in the list of those that came. */
export interface ReceivedMessage {
  readonly itemHash: string;
  readonly status: MessageStatus;
  /** Milliseconds since 1970. */
  readonly receivedMs: number;
}

interface PostRow {
  post_type: string;
  ref: string | null;
  time: number;
  latest: string;
  last_updated: number;
}

/** Reads what stands at the places of a list. Each answer is undefined for what went away. */
export class RowReader {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: LedgerDatabase) {
    this.#statements = prepare(database);
  }

  /** Where messages are in the table, each once; unknown ones are left out. */
  positionsOf(hashes: readonly string[]): number[] {
    return [...new Set(hashes)].flatMap((hash) => this.#statements.position.get(hash) ?? []);
  }

  readonly message = ({ position }: { position: number }): ListedMessage | undefined =>
    this.#listed(this.#statements.at.get(position));

  readonly post = ({ position }: { position: number }): ListedPost | undefined => {
    const original = this.message({ position });
    const post = original && this.#statements.post.get(original.itemHash);
    const latest = post && this.#listed(this.#statements.named.get(post.latest));
    if (original === undefined || post === undefined || latest === undefined) return undefined;
    const { post_type: postType, ref, time: created, last_updated: lastUpdated } = post;
    return { original, latest, postType, ref, created, lastUpdated };
  };

  readonly received = ({ position }: { position: number }): ReceivedMessage | undefined => {
    const row = this.#statements.at.get(position);
    return row && { itemHash: row.item_hash, status: row.status, receivedMs: row.received_ms };
  };

  #listed(row: (Row & { size_bytes: number }) | undefined): ListedMessage | undefined {
    if (row === undefined) return undefined;
    const text = textOf(row);
    return {
      status: row.status,
      sender: row.sender,
      chain: row.chain,
      signature: row.signature,
      type: row.type,
      itemContent: row.item_content,
      itemType: row.item_type,
      itemHash: row.item_hash,
      time: row.time,
      channel: row.channel,
      contentText: text !== undefined && isJson(text, row.status) ? text : null,
      sizeBytes: text === undefined ? row.size_bytes : Buffer.byteLength(text),
      forgottenBy: row.status === 'forgotten' ? this.#statements.forgottenBy.all(row.item_hash) : undefined,
    };
  }
}

/** What is in force was read before; anything else may hold whatever was sent. */
function isJson(text: string, status: MessageStatus): boolean {
  if (status === 'processed' || status === 'removing') return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    // A message that was refused for just that is told without its content.
    return false;
  }
}

function prepare(database: LedgerDatabase) {
  return {
    position: database.prepare<[string], number>('SELECT position FROM messages WHERE item_hash = ?').pluck(),
    at: database.prepare<[number], Row & { size_bytes: number }>('SELECT * FROM messages WHERE position = ?'),
    named: database.prepare<[string], Row & { size_bytes: number }>('SELECT * FROM messages WHERE item_hash = ?'),
    post: database.prepare<[string], PostRow>(
      'SELECT post_type, ref, time, latest, last_updated FROM posts WHERE item_hash = ?',
    ),
    forgottenBy: database
      .prepare<[string], string>('SELECT forgotten_by FROM forgets WHERE target = ? ORDER BY rowid')
      .pluck(),
  };
}
