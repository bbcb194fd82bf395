import { describe, expect, test } from 'vitest';
import { MessageError } from './errors.ts';
import { itemHashOf } from './item-hash.ts';
import { MAX_INLINE_CHARS, parseEnvelope } from './parse.ts';
import { broadcastMembers, referenceMessages } from './testing.ts';

const HASH = 'a'.repeat(64);

function envelope(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const text = typeof changes.item_content === 'string' ? changes.item_content : '{}';
  return {
    chain: 'ETH',
    sender: '0xB68B9D4f3771c246233823ed1D3Add451055F9Ef',
    type: 'POST',
    channel: 'TEST',
    time: 1762515431.653,
    item_type: 'inline',
    item_hash: text.isWellFormed() ? itemHashOf(text) : HASH,
    item_content: text,
    signature: '0x00',
    ...changes,
  };
}

function refusal(read: () => unknown): MessageError {
  try {
    read();
  } catch (error) {
    if (error instanceof MessageError) return error;
    throw error;
  }
  throw new Error('expected the message to be refused');
}

describe('parseEnvelope', () => {
  test.each(referenceMessages().filter(([, row]) => typeof row.signature === 'string'))(
    'parseEnvelope: reads the broadcast members, when they are those of %s',
    (_name, row) => {
      const parsed = parseEnvelope(broadcastMembers(row));
      expect(parsed.item_hash).toBe(row.item_hash);
      expect(parsed.time).toBe(row.time);
      expect(parsed.item_content).toBe(row.item_content ?? undefined);
    },
  );

  test('parseEnvelope: takes null for absent, when channel or item_content is null', () => {
    const parsed = parseEnvelope(
      envelope({ channel: null, item_type: 'storage', item_hash: HASH, item_content: null }),
    );
    expect(parsed.channel).toBeUndefined();
    expect(parsed.item_content).toBeUndefined();
  });

  test('parseEnvelope: counts Unicode characters, when the content is near the inline limit', () => {
    const pad = '😀'.repeat(MAX_INLINE_CHARS - 8);
    const fits = JSON.stringify({ a: pad });
    expect([...fits].length).toBe(MAX_INLINE_CHARS);
    expect(parseEnvelope(envelope({ item_content: fits })).item_content).toBe(fits);
    const error = refusal(() => parseEnvelope(envelope({ item_content: `${fits} ` })));
    expect(error.code).toBe('ITEM_CONTENT_TOO_LONG');
  });

  const cases: [string, Record<string, unknown>, string, string][] = [
    ['chain is unknown', { chain: 'DOGE' }, 'MEMBER_MISMATCH', '"$.chain" is "DOGE", expected "ARB" or'],
    ['sender is absent', { sender: undefined }, 'MEMBER_MISSING', '"$.sender" is absent, expected a string'],
    ['sender is null', { sender: null }, 'MEMBER_MISMATCH', '"$.sender" is null, expected a string'],
    [
      'sender has a line break',
      { sender: '0x1\nPOST' },
      'MEMBER_MISMATCH',
      '"$.sender" is "0x1\\nPOST", expected 1 to 128',
    ],
    ['type is unknown', { type: 'GET' }, 'MEMBER_MISMATCH', '"$.type" is "GET", expected "POST" or'],
    ['channel is too long', { channel: 'c'.repeat(129) }, 'MEMBER_MISMATCH', 'expected at most 128 characters'],
    ['time is a text', { time: '1' }, 'MEMBER_MISMATCH', '"$.time" is "1", expected a number'],
    ['time is infinite', { time: Number.POSITIVE_INFINITY }, 'MEMBER_MISMATCH', '"$.time" is Infinity, expected'],
    ['time is negative', { time: -0.5 }, 'MEMBER_MISMATCH', '"$.time" is -0.5, expected at least 0'],
    ['time is too late', { time: 9_223_372_037 }, 'MEMBER_MISMATCH', 'expected at most 9223372036'],
    ['item_type is unknown', { item_type: 'ftp' }, 'MEMBER_MISMATCH', '"$.item_type" is "ftp", expected "inline" or'],
    ['item_hash has capitals', { item_hash: 'A'.repeat(64) }, 'MEMBER_MISMATCH', 'expected 64 lowercase hex digits'],
    [
      'item_hash is a raw leaf',
      { item_hash: `bafk${'a'.repeat(55)}` },
      'MEMBER_MISMATCH',
      'expected 64 lowercase hex digits',
    ],
    [
      'an inline hash is a CID',
      { item_hash: `Qm${'a'.repeat(44)}` },
      'MEMBER_MISMATCH',
      'expected a CID with item_type "ipfs"',
    ],
    [
      'an ipfs hash is a SHA-256',
      { item_type: 'ipfs', item_content: null },
      'MEMBER_MISMATCH',
      'expected a CID with item_type "ipfs"',
    ],
    ['signature is an object', { signature: {} }, 'MEMBER_MISMATCH', '"$.signature" is an object, expected a string'],
    ['content is sent along', { content: {} }, 'MEMBER_UNKNOWN', '"$.content" is not a member of this format'],
    [
      'item_content is absent',
      { item_content: null },
      'MEMBER_MISSING',
      '"$.item_content" is absent, expected the JSON text',
    ],
    [
      'item_content stands in a storage message',
      { item_type: 'storage' },
      'MEMBER_MISMATCH',
      'expected no such member with item_type "storage"',
    ],
    [
      'item_content is not JSON',
      { item_content: "{'a':1}" },
      'JSON_MALFORMED',
      'found text that is not JSON, expected the text of one JSON object',
    ],
    ['item_content is an array', { item_content: '[]' }, 'JSON_MALFORMED', 'found an array, expected'],
    ['item_content is null', { item_content: 'null' }, 'JSON_MALFORMED', 'found null, expected'],
    ['item_content is a number', { item_content: '1' }, 'JSON_MALFORMED', 'found a number, expected'],
    [
      'item_content is deep',
      { item_content: `{"a":${'['.repeat(60_000)}` },
      'JSON_TOO_DEEP',
      'nested 60001 levels deep, expected at most 512',
    ],
    [
      'item_content has half a pair',
      { item_content: '{"a":"\ud800"}' },
      'MEMBER_MISMATCH',
      'expected well-formed Unicode',
    ],
    [
      'item_content was altered',
      { item_content: '{"a":1}', item_hash: HASH },
      'ITEM_HASH_MISMATCH',
      `expected "${HASH}"`,
    ],
    [
      'item_content got a space',
      { item_content: '{ }', item_hash: itemHashOf('{}') },
      'ITEM_HASH_MISMATCH',
      'hashes to',
    ],
  ];

  test.each(cases)('parseEnvelope: refuses the message, when %s', (_name, changes, code, text) => {
    const error = refusal(() => parseEnvelope(envelope(changes)));
    expect({ code: error.code, message: error.message }).toEqual({ code, message: expect.stringContaining(text) });
    expect(error.entry.status).toBe(422);
  });

  test.each([null, [], 'text', 1, undefined])('parseEnvelope: refuses %j, when it is no object', (value) => {
    expect(refusal(() => parseEnvelope(value)).message).toContain('expected an object');
  });
});
