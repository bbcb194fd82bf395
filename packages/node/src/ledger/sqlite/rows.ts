import { type Envelope, parseContent } from '@vmlet/messages';
import type { Reason } from '../reason.ts';
import type { AnyProcessedMessage } from '../records.ts';
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
  /** `content.time`, in seconds. */
  signed_time: number | null;
}

/** Whether it is in force: a message that is being removed still is. */
export function isInForce({ status }: Pick<Row, 'status'>): boolean {
  return status === 'processed' || status === 'removing';
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
export function textOf(row: Row): string | undefined {
  return row.item_content ?? row.content ?? undefined;
}

/** A message in force; undefined for any other. */
export function messageOf(row: Row | undefined): AnyProcessedMessage | undefined {
  const text = row && textOf(row);
  if (row === undefined || text === undefined || !isInForce(row)) return undefined;
  return {
    type: row.type,
    itemHash: row.item_hash,
    envelope: envelopeOf(row),
    content: parseContent(row.type, text),
    receivedMs: row.received_ms,
  } as AnyProcessedMessage;
}
