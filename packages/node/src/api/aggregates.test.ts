import { expect, test } from 'vitest';
import { makeAuthor } from '../ledger/testing.ts';
import { type ApiFixture, startApi } from './testing.ts';

const keysOf = (json: unknown) => (json as { aggregates: { key: string }[] }).aggregates.map(({ key }) => key);

/** Two keys of one address, the first of them in two messages. */
async function withAggregates(fixture: ApiFixture) {
  const { operator, ledger } = fixture;
  const messages = [
    await operator.sign('AGGREGATE', { key: 'profile', content: { name: 'a', age: 1 } }),
    await operator.sign('AGGREGATE', { key: 'settings', content: { dark: true } }),
    await operator.sign('AGGREGATE', { key: 'profile', content: { age: 2 } }),
  ] as const;
  for (const message of messages) await ledger.accept(message);
  return messages;
}

test('aggregates: tells each key merged, and what made it when asked', async () => {
  await using fixture = await startApi();
  const [first, , last] = await withAggregates(fixture);
  const { address } = fixture.operator.signer;
  const path = `/api/v0/aggregates/${address}.json`;
  const all = { profile: { name: 'a', age: 2 }, settings: { dark: true } };
  expect((await fixture.call('GET', path)).json).toEqual({ address, data: all, info: {} });
  expect((await fixture.call('GET', `${path}?keys=settings,none`)).json).toMatchObject({ data: { settings: {} } });
  expect((await fixture.call('GET', `${path}?keys=profile&value_only=true`)).json).toEqual(all.profile);
  expect((await fixture.call('GET', `${path}?limit=1`)).json).toEqual({
    address,
    data: { profile: all.profile },
    info: {},
  });
  expect((await fixture.call('GET', `${path}?keys[]=profile&with_info=1`)).json).toMatchObject({
    info: {
      profile: {
        created: new Date(first.time * 1000).toISOString(),
        last_updated: new Date(last.time * 1000).toISOString(),
        original_item_hash: first.item_hash,
        last_update_item_hash: last.item_hash,
      },
    },
  });
  // Wallets write the same address in two ways.
  expect((await fixture.call('GET', path.toLowerCase())).json).toMatchObject({ data: all });
});

test('aggregates: answers 404 where there is none, and 422 to what it cannot read', async () => {
  await using fixture = await startApi();
  const { address } = fixture.operator.signer;
  const answer = async (path: string) => {
    const { status, json } = await fixture.call('GET', `/api/v0/aggregates${path}`);
    return [status, (json as { code: string; cause: string }).cause];
  };
  expect(await answer(`/${address}.json`)).toEqual([404, expect.stringContaining(address)]);
  await withAggregates(fixture);
  expect(await answer(`/${address}.json?keys=none`)).toEqual([404, expect.stringContaining(address)]);
  for (const [query, field] of [
    ['limit=0', 'limit'],
    ['limit=many', 'limit'],
    ['value_only=true', 'keys'],
    ['value_only=perhaps', 'value_only'],
  ]) {
    expect(await answer(`/${address}.json?${query}`)).toEqual([422, expect.stringContaining(`'${field}'`)]);
  }
  expect(await answer('?sortBy=name')).toEqual([422, expect.stringContaining("'sortBy'")]);
  expect(await answer('?page=0')).toEqual([422, expect.stringContaining("'page'")]);
});

test('aggregates: lists those of all addresses, by time, key and address, page by page', async () => {
  await using fixture = await startApi();
  await withAggregates(fixture);
  const other = makeAuthor();
  await fixture.ledger.accept(await other.sign('AGGREGATE', { key: 'profile', content: {} }));
  const list = async (query: string) => (await fixture.call('GET', `/api/v0/aggregates${query}`)).json;
  expect(await list('')).toMatchObject({
    aggregates: expect.arrayContaining([
      expect.objectContaining({ address: other.signer.address, key: 'profile', content: {} }),
    ]),
    pagination_per_page: 20,
    pagination_page: 1,
    pagination_total: 3,
    pagination_item: 'aggregates',
  });
  const { address } = fixture.operator.signer;
  const own = `addresses=${address.toLowerCase()}`;
  expect(keysOf(await list(`?${own}`))).toEqual(['profile', 'settings']);
  expect(keysOf(await list(`?${own}&sortBy=creation_time`))).toEqual(['settings', 'profile']);
  expect(keysOf(await list(`?${own}&sortOrder=1`))).toEqual(['settings', 'profile']);
  expect(keysOf(await list(`.json?keys=settings`))).toEqual(['settings']);
  expect(await list(`?${own}&pagination=1&page=2`)).toMatchObject({
    aggregates: [{ key: 'settings', content: { dark: true } }],
    pagination_total: 2,
  });
  expect(keysOf(await list('?page=1000000000&pagination=1000'))).toEqual([]);
});
