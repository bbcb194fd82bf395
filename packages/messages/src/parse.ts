/** Reads messages in the form they are broadcast in. */
import { MessageError } from './errors.ts';
import { itemHashOf } from './item-hash.ts';
import { parseJsonObject } from './json-text.ts';
import { type ContentOf, contentSchemas, type MessageType } from './schema/contents.ts';
import { type Envelope, envelopeSchema } from './schema/envelope.ts';
import { readWith } from './structure.ts';

/** Longest content a message carries itself, in Unicode characters. */
export const MAX_INLINE_CHARS = 200_000;

/**
 * Reads a message as it is broadcast: members and their limits, and for an inline one that `item_content` is a JSON
 * object whose bytes hash to `item_hash`. Neither the signature nor the content's own schema is checked: see
 * `verifySignature` and `parseContent`. Throws MessageError.
 */
export function parseEnvelope(value: unknown): Envelope {
  const envelope = readWith(envelopeSchema, value, { operand: 'message' });
  if (envelope.item_type === 'inline' && envelope.item_content === undefined) {
    const expected = 'the JSON text of the content with item_type "inline"';
    throw new MessageError('MEMBER_MISSING', { operand: 'message', path: '$.item_content', expected });
  }
  checkItemContent(envelope);
  return envelope;
}

/**
 * Reads the content of a message of `type` from its JSON text: `item_content`, or the file that `item_hash` names.
 * The result has defaults filled in and is for use, never for hashing. Throws MessageError.
 */
export function parseContent<T extends MessageType>(type: T, text: string): ContentOf<T> {
  return readContent(type, parseJsonObject(text, { operand: `content of ${type}` }));
}

/** As `parseContent`, from a value already parsed. */
export function readContent<T extends MessageType>(type: T, value: unknown): ContentOf<T> {
  // The compiler does not resolve an indexed schema's output to ContentOf<T>, which is defined as just that.
  return readWith(contentSchemas[type], value, { operand: `content of ${type}` }) as ContentOf<T>;
}

/** Throws MessageError unless `item_content`, where there is one, may stand in this message and hashes to its name. */
export function checkItemContent(envelope: Pick<Envelope, 'item_type' | 'item_hash' | 'item_content'>): void {
  const { item_content: text, item_hash: itemHash, item_type: itemType } = envelope;
  if (text === undefined) return;
  const refuse = (found: string, expected: string) =>
    new MessageError('MEMBER_MISMATCH', { operand: 'message', path: '$.item_content', found, expected });
  if (itemType !== 'inline') throw refuse('present', `no such member with item_type "${itemType}"`);
  // Half a surrogate pair has no UTF-8 form: encoders replace it, and then two texts would share one hash.
  if (!text.isWellFormed()) throw refuse('text with half a surrogate pair', 'well-formed Unicode');
  checkInlineLength(text);
  parseJsonObject(text, { operand: 'item_content' });
  const found = itemHashOf(text);
  if (found !== itemHash) throw new MessageError('ITEM_HASH_MISMATCH', { operand: itemHash, found });
}

/** Throws MessageError ITEM_CONTENT_TOO_LONG when a text cannot travel inside its message. */
export function checkInlineLength(text: string): void {
  // A text has at most as many characters as UTF-16 units, so short ones need no count.
  const chars = text.length <= MAX_INLINE_CHARS ? text.length : countChars(text);
  if (chars <= MAX_INLINE_CHARS) return;
  throw new MessageError('ITEM_CONTENT_TOO_LONG', { found: String(chars), expected: String(MAX_INLINE_CHARS) });
}

function countChars(text: string): number {
  let chars = 0;
  for (const _ of text) chars++;
  return chars;
}
