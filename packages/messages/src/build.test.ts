import { describe, expect, test } from 'vitest';
import { buildMessage, itemHashOf, parseContent, parseEnvelope, verifySignature } from './index.ts';
import type { ItemHash } from './schema/hashes.ts';
import { createEvmSigner, createSolSigner, generateKey } from './sign/index.ts';
import { seededRandom } from './testing.ts';

const now = new Date(1762515431653);
const signer = createEvmSigner(generateKey());

describe('buildMessage', () => {
  test.each([signer, createSolSigner(generateKey())])(
    'buildMessage: makes a message any node reads, when $chain signs',
    async (account) => {
      const parts = {
        signer: account,
        type: 'POST',
        content: { type: 't', content: { body: 'hi' } },
        channel: 'TEST',
        now,
      } as const;
      const built = await buildMessage(parts);
      const received = parseEnvelope(JSON.parse(JSON.stringify(built)));
      expect(received).toEqual(built);
      expect(verifySignature(received)).toEqual({ ok: true });
      expect(received.item_content).toBe(
        `{"address":"${account.address}","time":1762515431.653,"type":"t","content":{"body":"hi"}}`,
      );
      expect(received.time).toBe(1762515431.653);
    },
  );

  test('buildMessage: keeps the address and time given, when the message is on behalf of another', async () => {
    const content = { address: 'someone', time: 5, key: 'k', content: {} };
    const built = await buildMessage({ signer, type: 'AGGREGATE', content, now });
    expect(parseContent('AGGREGATE', built.item_content ?? '')).toMatchObject({ address: 'someone', time: 5 });
    expect('channel' in JSON.parse(JSON.stringify(built))).toBe(false);
  });

  test('buildMessage: refuses, when the content would not fit into the message', async () => {
    const content = { type: 't', content: 'x'.repeat(200_000) };
    await expect(buildMessage({ signer, type: 'POST', content, now })).rejects.toMatchObject({
      code: 'ITEM_CONTENT_TOO_LONG',
      message: expect.stringMatching(
        /^Cannot carry "item_content" inline: found 200\d\d\d characters, expected at most 200000$/,
      ),
    });
  });

  test('buildMessage: refuses, when the content does not fit its schema', async () => {
    const content = { hashes: ['x' as ItemHash] };
    await expect(buildMessage({ signer, type: 'FORGET', content, now })).rejects.toMatchObject({ path: '$.hashes[0]' });
  });

  test('buildMessage: makes what arrives unchanged, when the content has odd Unicode', async () => {
    const random = seededRandom(20260812);
    // No curve work for each round: the signature is tested elsewhere.
    const quick = { ...signer, sign: async () => '0x00' };
    for (let round = 0; round < 300; round++) {
      const content = { type: oddText(random), content: oddJson(random, 4) };
      const built = await buildMessage({ signer: quick, type: 'POST', content, now });
      const received = parseEnvelope(
        JSON.parse(new TextDecoder().decode(new TextEncoder().encode(JSON.stringify(built)))),
      );
      expect(received.item_hash).toBe(itemHashOf(built.item_content ?? ''));
      expect(parseContent('POST', received.item_content ?? '')).toMatchObject(content);
    }
  });
});

const ODD = [
  'a',
  '"',
  '\\',
  '/',
  '\n',
  '\0',
  '\u007f',
  'é',
  'e\u0301',
  '\u2028',
  '\ufeff',
  '\uffff',
  '😀',
  '\u{10ffff}',
  '\ud83d',
  '\udc00',
  '__proto_',
  '{',
  ']',
];

function pick<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}

function oddText(random: () => number): string {
  return Array.from({ length: Math.floor(random() * 8) }, () => pick(random, ODD)).join('');
}

function oddJson(random: () => number, depth: number): unknown {
  const kind = Math.floor(random() * (depth > 0 ? 6 : 4));
  if (kind === 0) return oddText(random);
  if (kind === 1) return pick(random, [0, 1, -1, 1e21, 5e-324, 0.1, 2 ** 53, 1762515431.653]);
  if (kind === 2) return pick(random, [true, false]);
  if (kind === 3) return null;
  const size = Math.floor(random() * 4);
  if (kind === 4) return Array.from({ length: size }, () => oddJson(random, depth - 1));
  return Object.fromEntries(Array.from({ length: size }, () => [oddText(random), oddJson(random, depth - 1)]));
}
