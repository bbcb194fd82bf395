import { expect, test } from 'vitest';
import { NetworkCode } from './codes.ts';
import { codesOf, type MakeLedger } from './compliance-fixture.ts';
import { makeAuthor } from './testing.ts';

/** Aggregates. */
export function aggregating(makeFixture: MakeLedger): void {
  merging(makeFixture);
  forgettingKeys(makeFixture);
}

function merging(makeFixture: MakeLedger): void {
  test('aggregate: has every member with the value that was signed last, in whatever order they come', async () => {
    await using fixture = await makeFixture();
    const author = makeAuthor();
    const first = await author.aggregate('key', { a: 1, b: { deep: true }, __proto__: null, constructor: 'x' });
    const second = await author.aggregate('key', { a: 2, c: null });
    const third = await author.aggregate('key', { b: { other: 1 } });
    const apart = await author.aggregate('apart', { a: 9 });
    await codesOf(fixture, [third, first, apart, second]);
    const { address } = author.signer;
    expect(fixture.ledger.aggregate(address)).toEqual([
      { address, key: 'apart', content: expect.any(Object), created: apart.time, lastUpdated: apart.time },
      {
        ...{ address, key: 'key', created: first.time, lastUpdated: third.time },
        content: { a: 2, b: { other: 1 }, c: null, constructor: 'x' },
      },
    ]);
    expect(fixture.ledger.aggregate(address.toLowerCase(), ['apart', 'none']).map(({ key }) => key)).toEqual(['apart']);
    expect(fixture.ledger.aggregate(makeAuthor().signer.address)).toEqual([]);
  });

  test('aggregate: takes a key in either form, and refuses more members than a message may have', async () => {
    await using fixture = await makeFixture();
    const author = makeAuthor();
    const named = await author.sign('AGGREGATE', { key: { name: 'key' }, content: { a: 1 } });
    const members = Object.fromEntries(Array.from({ length: 10_001 }, (_, index) => [`m${index}`, 0]));
    const long = await author.aggregate('key', members);
    expect(await codesOf(fixture, [named, long])).toEqual(['processed', NetworkCode.FORMAT]);
    expect(fixture.ledger.aggregate(author.signer.address, ['key'])).toMatchObject([{ content: { a: 1 } }]);
  });
}

function forgettingKeys(makeFixture: MakeLedger): void {
  test('forget: puts an aggregate together without the element that is gone', async () => {
    await using fixture = await makeFixture();
    const author = makeAuthor();
    const elements = [];
    for (const content of [{ a: 1 }, { a: 2, b: 2 }, { b: 3 }]) elements.push(await author.aggregate('key', content));
    await codesOf(fixture, elements);
    const { address } = author.signer;
    await codesOf(fixture, [await author.forget(elements[1]?.item_hash ?? '')]);
    expect(fixture.ledger.aggregate(address)).toMatchObject([{ content: { a: 1, b: 3 } }]);
    await codesOf(fixture, [await author.forget(elements[0]?.item_hash ?? '', elements[2]?.item_hash ?? '')]);
    expect(fixture.ledger.aggregate(address)).toEqual([]);
  });

  test('forget: takes all elements of a key that were signed until then, also those that come later', async () => {
    await using fixture = await makeFixture();
    const author = makeAuthor();
    const [early, late] = [await author.aggregate('key', { a: 1 }), await author.aggregate('key', { a: 2 })];
    const apart = await author.aggregate('apart', {});
    const forget = await author.sign('FORGET', { hashes: [], aggregates: ['key'] });
    const newer = await author.aggregate('key', { b: 3 });
    const codes = await codesOf(fixture, [forget, apart, early, late, newer]);
    expect(codes).toEqual([501, 'processed', 'processed', NetworkCode.FORGOTTEN_DUPLICATE, 'processed']);
    expect(fixture.ledger.get(early.item_hash)).toMatchObject({ forgotten_by: [forget.item_hash] });
    expect(fixture.ledger.get(late.item_hash)).toMatchObject({ forgotten_by: [forget.item_hash] });
    const found = fixture.ledger.aggregate(author.signer.address);
    expect(found.map(({ key, content }) => [key, content])).toEqual([
      ['apart', {}],
      ['key', { b: 3 }],
    ]);
  });
}
