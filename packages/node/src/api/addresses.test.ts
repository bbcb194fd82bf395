import { expect, test } from 'vitest';
import { bytesOf, makeAuthor } from '../ledger/testing.ts';
import { type ApiFixture, startApi } from './testing.ts';

const none = { messages: 0, post: 0, aggregate: 0, store: 0, program: 0, instance: 0, forget: 0 };

/** Four messages of the operator and one of another address, in two channels. */
async function withMessages({ operator, ledger, content }: ApiFixture) {
  const other = makeAuthor();
  const { fileHash } = await content.put(bytesOf('file'), { maxBytes: 9 });
  const gone = await operator.post('gone');
  for (const message of [
    { ...(await operator.post('x')), channel: 'A' },
    { ...(await operator.sign('POST', { type: 'blog', content: {} })), channel: 'B' },
    await operator.store(fileHash),
    await operator.sign('AGGREGATE', { key: 'k', content: {} }),
    gone,
    await operator.forget(gone.item_hash),
    { ...(await other.post('y')), channel: 'A' },
    // Waits for its file, so it counts for nothing.
    { ...(await other.store('a'.repeat(64))), channel: 'C' },
  ]) {
    await ledger.accept(message);
  }
  return { own: operator.signer.address, other: other.signer.address };
}

test('addresses: tells how many messages of each type are in force', async () => {
  await using fixture = await startApi();
  const { own, other } = await withMessages(fixture);
  const ownStats = { ...none, messages: 5, post: 2, store: 1, aggregate: 1, forget: 1 };
  const otherStats = { ...none, messages: 1, post: 1 };
  const v0 = async (query: string) => (await fixture.call('GET', `/api/v0/addresses/stats.json?${query}`)).json;
  expect(await v0(`addresses[]=${own}&addresses[]=${other}`)).toEqual({
    data: { [own]: ownStats, [other]: otherStats },
  });
  expect(await v0(`addresses=0x${'0'.repeat(40)}`)).toEqual({ data: {} });
  expect(await v0('')).toEqual({ data: { [own]: ownStats, [other]: otherStats } });
  const v1 = async (query: string) => (await fixture.call('GET', `/api/v1/addresses/stats.json?${query}`)).json;
  expect(await v1('')).toEqual({
    data: { [own]: ownStats, [other]: otherStats },
    pagination_per_page: 20,
    pagination_page: 1,
    pagination_total: 2,
    pagination_item: 'addresses',
  });
  expect(await v1(`addressContains=${other.slice(2, 12).toUpperCase()}`)).toMatchObject({
    data: { [other]: otherStats },
    pagination_total: 1,
  });
  expect(Object.keys(((await v1('sortBy=store&sortOrder=1')) as { data: object }).data)).toEqual([other, own]);
  expect(await v1('pagination=1&page=2')).toMatchObject({ data: { [other]: otherStats }, pagination_total: 2 });
});

test('addresses: names the channels and post types that an address has used', async () => {
  await using fixture = await startApi();
  const { own, other } = await withMessages(fixture);
  const get = async (path: string) => (await fixture.call('GET', `/api/v0/addresses/${path}`)).json;
  expect(await get(`${own}/post_types`)).toEqual({ address: own, post_types: ['blog', 'test'] });
  expect(await get(`${own.toLowerCase()}/channels`)).toEqual({ address: own.toLowerCase(), channels: ['A', 'B'] });
  expect(await get(`${other}/channels`)).toEqual({ address: other, channels: ['A'] });
  expect((await fixture.call('GET', '/api/v0/channels/list.json')).json).toEqual({ channels: ['A', 'B'] });
});

test.each([
  '/api/v1/addresses/stats.json?sortBy=size',
  '/api/v1/addresses/stats.json?pagination=1001',
  `/api/v1/addresses/stats.json?addressContains=${'a'.repeat(67)}`,
  '/api/v0/addresses/a%0Ab/channels',
])('addresses: answers 422 to %s', async (path) => {
  await using fixture = await startApi();
  expect(await fixture.call('GET', path)).toMatchObject({ status: 422, json: { code: 'API_QUERY_MALFORMED' } });
});
