import fc from 'fast-check';
import { expect, test } from 'vitest';
import { startApi } from './testing.ts';

const PATHS = ['messages.json', 'messages/page/1.json', 'messages/hashes', 'posts.json', 'posts/page/2.json'];
const NAMES =
  'msgType msgTypes msgStatuses addresses owners channels chains refs tags contentTypes contentKeys contentHashes hashes ' +
  'paymentTypes startDate endDate startBlock endBlock sortBy sortOrder contentFormat excludeContent pagination page cursor ' +
  'types status hash_only __proto__';
const HASH = 'a'.repeat(64);
const VALUES = [
  '',
  '0',
  '1',
  '-1',
  '20',
  '1e9',
  'POST',
  'pending,processed',
  'removed',
  'time',
  'tx-time',
  'none',
  HASH,
];

test('lists: whatever is asked is answered or refused, and never a failure', async () => {
  await using fixture = await startApi();
  for (let count = 0; count < 3; count++) await fixture.ledger.accept(await fixture.operator.post({ tags: ['a'] }));
  const cursor = fc.oneof(fc.string(), fc.json()).map((text) => Buffer.from(text).toString('base64url'));
  const value = fc.oneof(fc.constantFrom(...VALUES), fc.string({ unit: 'binary' }), cursor);
  const name = fc.tuple(fc.constantFrom(...NAMES.split(' ')), fc.constantFrom('', '', '[]', '[0]'));
  const query = fc.array(fc.tuple(name, value), { maxLength: 4 });
  const path = fc.constantFrom(...PATHS.flatMap((one) => [`/api/v0/${one}`, `/api/v1/${one}`]));
  await fc.assert(
    fc.asyncProperty(path, query, async (route, parameters) => {
      const pairs = parameters.map(([[plain, brackets], text]): [string, string] => [
        plain + brackets,
        text.toWellFormed(),
      ]);
      const { status, json } = await fixture.call('GET', `${route}?${new URLSearchParams(pairs)}`);
      // Version 1 has posts alone.
      expect(status === 404 && route.startsWith('/api/v1/messages') ? 200 : status).toBeOneOf([200, 422]);
      expect(json).toBeTypeOf('object');
    }),
    { numRuns: process.env.VMLET_TEST_ALL ? 100_000 : 500 },
  );
  expect(fixture.failures).toEqual([]);
}, 600_000);
