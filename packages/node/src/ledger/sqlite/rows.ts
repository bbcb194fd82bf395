import { type Envelope, parseContent } from '@vmlet/messages';
import type { Reason } from '../reason.ts';
import type { AnyProcessedMessage, Sequenced } from '../records.ts';
import type { MessageStatus } from '../state.ts';

/** A row of the table `messages`. */
export interface Row {
  position: number;
  item_hash: Envelope['item_hash'];
  status: MessageStatus;
  type: Envelope['type'];
  chain: Envelope['chain'];
  sender: Envelope['sender'];
  channel: string | null;
  time: number;
  item_type: Envelope['item_type'];
  item_content: string | null;
  signature: string;
  address: string | null;
  /** The content's text where it did not come in the message. */
  content: string | null;
  received_ms: number;
  error_code: number | null;
  error_details: string | null;
  processed_seq: number | null;
  tries: number;
  next_attempt_ms: number | null;
  removed_ms: number | null;
  /** Why it is being removed. */
  reason: string | null;
  /** `content.time`, in seconds; null while the content is not here. */
  signed_time: number | null;
  /** The type of a POST, the key of an AGGREGATE. */
  topic: string | null;
  updates: string | null;
  allow_amend: number | null;
}

/** The message as it came. */
export function envelopeOf(row: Row): Envelope {
  return {
    sender: row.sender,
    chain: row.chain,
    signature: row.signature,
    type: row.type,
    ...(row.item_content === null ? {} : { item_content: row.item_content }),
    item_type: row.item_type,
    item_hash: row.item_hash,
    time: row.time,
    ...(row.channel === null ? {} : { channel: row.channel }),
  };
}

/** Why the message is pending or rejected. */
export function reasonOf(row: Row): Reason | undefined {
  if (row.error_code === null) return undefined;
  return { code: row.error_code, errors: JSON.parse(row.error_details ?? '[]') as string[] };
}

/** The text of the content; undefined while it is not here, or once it is forgotten. */
export function textOf(row: Pick<Row, 'item_content' | 'content'>): string | undefined {
  return row.item_content ?? row.content ?? undefined;
}

/** A message in force; undefined for any other. One that is being removed still is. */
export function messageOf(row: Row | undefined): AnyProcessedMessage | undefined {
  if (row === undefined || (row.status !== 'processed' && row.status !== 'removing')) return undefined;
  const text = textOf(row);
  if (text === undefined) return undefined;
  return messageFrom(envelopeOf(row), { content: parseContent(row.type, text), receivedMs: row.received_ms });
}

/** A message in force, of parts that belong together. */
export function messageFrom(
  envelope: Envelope,
  { content, receivedMs }: { content: AnyProcessedMessage['content']; receivedMs: number },
): AnyProcessedMessage {
  // The compiler does not relate an envelope's type to its content's, which were read together.
  return { type: envelope.type, itemHash: envelope.item_hash, envelope, content, receivedMs } as AnyProcessedMessage;
}

/** A message in force and its place in the order of processing. */
export function sequenced(row: Row): Sequenced | undefined {
  const message = messageOf(row);
  return message && { seq: row.processed_seq ?? 0, message };
}
