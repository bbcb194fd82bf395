import type { StatusEnvelope } from '../ledger/index.ts';
import { EVENT_HEADER } from '../platform-headers.ts';

/** A message in force as the network tells it. */
export type WireMessage = Extract<StatusEnvelope, { status: 'processed' }>['message'];

/** The name of the event, which is that of its ASGI scope in the reference system. */
export const MESSAGE_EVENT = 'aleph.message';

/** What a program is sent. */
export interface CloudEvent {
  /** Name and value of each header. */
  readonly headers: Record<string, string>;
  readonly body: string;
}

/**
 * A message as a CloudEvent 1.0 in the binary mode of its HTTP binding: attributes in headers, the message as JSON in the
 * body. `ce-id` is the item_hash, the same for each try, so that a program can tell a message that it has seen.
 */
export function cloudEvent(message: WireMessage, { attempt }: { attempt: number }): CloudEvent {
  const { type, item_hash: itemHash, sender, chain, channel, content } = message;
  return {
    headers: {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': itemHash,
      'ce-type': `cloud.aleph.message.${type.toLowerCase()}`,
      'ce-source': `/${chain}/${encoded(sender)}`,
      'ce-time': timeOf(content.time),
      ...(channel ? { 'ce-channel': encoded(channel) } : {}),
      'ce-attempt': String(attempt),
      [EVENT_HEADER]: MESSAGE_EVENT,
      'user-agent': 'vmlet',
    },
    body: JSON.stringify(message),
  };
}

/** RFC 3339. A time beyond those that have such a form is the last one that has. */
function timeOf(seconds: number): string {
  const lastMs = Date.UTC(9999, 11, 31, 23, 59, 59);
  return new Date(Math.min(Math.round(seconds * 1000), lastMs)).toISOString();
}

/** Of a value that a stranger chose, what can stand in a header; the rest percent-encoded, as the binding says. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}
