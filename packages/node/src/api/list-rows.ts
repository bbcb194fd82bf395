import type { ListedMessage, ListedPost } from '../ledger/query/index.ts';
import { isoTime } from './iso-time.ts';

/** How much is told of a message's content. */
export type ContentFormat = 'full' | 'headers' | 'none';

/** No message here is confirmed on a chain. */
const unconfirmed = { confirmed: false, confirmations: [] };

/** A message as lists have it, JSON: its content is what was signed, to the last character. */
export function messageRow(message: ListedMessage, { format }: { format: ContentFormat }): string {
  const text = JSON.stringify({
    ...{ sender: message.sender, chain: message.chain, signature: message.signature, type: message.type },
    ...{ item_content: message.itemContent, item_type: message.itemType, item_hash: message.itemHash },
    ...{ time: message.time, channel: message.channel, size: message.sizeBytes, ...unconfirmed },
    ...(message.forgottenBy === undefined ? {} : { forgotten_by: message.forgottenBy }),
  });
  if (format === 'none') return text;
  const content = format === 'headers' ? JSON.stringify(headersOf(message)) : (message.contentText ?? 'null');
  return `${text.slice(0, -1)},"content":${content}}`;
}

/** What an explorer needs to tell messages apart. */
function headersOf({ type, contentText }: ListedMessage): Record<string, unknown> {
  const { address, type: subtype, ref, key, item_hash } = objectIn(contentText);
  const own: Record<string, Record<string, unknown>> = {
    POST: { type: subtype, ref },
    AGGREGATE: { key },
    STORE: { item_hash, ref },
  };
  return { address, ...own[type] };
}

/** A post as version 0 of the API has it: members of both the original and the newest amend. */
export function postRowV0({ original, latest, postType, ref }: ListedPost): string {
  const { content, type } = objectIn(latest.contentText);
  const { address } = objectIn(original.contentText);
  return JSON.stringify({
    ...{ chain: original.chain, item_hash: latest.itemHash, sender: address, type, channel: original.channel },
    ...{ content, item_content: latest.itemContent, item_type: latest.itemType, signature: latest.signature },
    ...{ size: latest.sizeBytes, time: latest.time, ...unconfirmed },
    ...{ original_item_hash: original.itemHash, original_signature: original.signature, original_type: postType },
    ...{ hash: original.itemHash, address, ref },
  });
}

/** The same in version 1. */
export function postRowV1({ original, latest, postType, ref, created, lastUpdated }: ListedPost): string {
  const { content } = objectIn(latest.contentText);
  const { address } = objectIn(original.contentText);
  return JSON.stringify({
    ...{ item_hash: latest.itemHash, content, original_item_hash: original.itemHash, original_type: postType, address },
    ...{ ref, channel: original.channel, created: isoTime(created), last_updated: isoTime(lastUpdated) },
  });
}

function objectIn(text: string | null): Record<string, unknown> {
  const value: unknown = text === null ? {} : JSON.parse(text);
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
