import type { Envelope } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { bytesOf, fileHashOf, makeAuthor } from '../ledger/testing.ts';
import { type ApiFixture, startApi } from './testing.ts';

const LIST = '/api/v0/messages.json';

interface Listed {
  messages: (Record<string, unknown> & { item_hash: string })[];
  next_cursor?: string | null;
}

async function accept(fixture: ApiFixture, ...messages: Envelope[]): Promise<void> {
  for (const message of messages) await fixture.ledger.accept(message);
}

async function hashesOf(fixture: ApiFixture, query: string): Promise<string[]> {
  const { status, json } = await fixture.call('GET', `${LIST}?${query}`);
  expect([query, status]).toEqual([query, 200]);
  return (json as Listed).messages.map(({ item_hash }) => item_hash);
}

test('messages.json: pages have the newest first, with a total, and cursors have no page', async () => {
  await using fixture = await startApi();
  const { operator } = fixture;
  const messages = [await operator.post('1'), await operator.post('2'), await operator.post('3')];
  await accept(fixture, ...messages);
  const newest = messages.toReversed().map(({ item_hash }) => item_hash);
  const page = await fixture.call('GET', `${LIST}?pagination=2&page=1`);
  expect(page.json).toMatchObject({
    messages: [{ item_hash: newest[0] }, { item_hash: newest[1] }],
    pagination_per_page: 2,
    pagination_page: 1,
    pagination_total: 3,
    pagination_item: 'messages',
  });
  const second = await fixture.call('GET', '/api/v0/messages/page/2.json?pagination=2');
  expect(second.json).toMatchObject({ messages: [{ item_hash: newest[2] }], pagination_page: 2, pagination_total: 3 });
  const first = await fixture.call('GET', `${LIST}?pagination=2&cursor=`);
  const { messages: rows, next_cursor: cursor, ...rest } = first.json as Listed;
  expect(rows.map(({ item_hash }) => item_hash)).toEqual(newest.slice(0, 2));
  expect(rest).toEqual({ pagination_per_page: 2 });
  const last = await fixture.call('GET', `${LIST}?pagination=2&cursor=${cursor}`);
  expect(last.json).toMatchObject({ messages: [{ item_hash: newest[2] }], next_cursor: null });
  const all = await fixture.call('GET', `${LIST}?pagination=0`);
  expect((all.json as Listed).messages).toHaveLength(3);
  expect(await hashesOf(fixture, 'sortOrder=1')).toEqual(newest.toReversed());
  expect(await hashesOf(fixture, 'sortBy=tx-time')).toEqual(newest);
});

test('messages.json: a row has the content as it was signed, its size, and no confirmation', async () => {
  await using fixture = await startApi();
  const { operator } = fixture;
  const post = await operator.sign('POST', { type: 'note', content: { big: 1, tags: ['a'] }, ref: 'r' });
  await accept(fixture, post);
  const { json } = await fixture.call('GET', LIST);
  const text = post.item_content ?? '';
  expect((json as Listed).messages).toEqual([
    {
      ...post,
      channel: null,
      content: JSON.parse(text),
      size: Buffer.byteLength(text),
      confirmed: false,
      confirmations: [],
    },
  ]);
  const contentOf = async (query: string) => {
    const answer = await fixture.call('GET', `${LIST}?${query}`);
    return (answer.json as Listed).messages[0]?.content;
  };
  const address = operator.signer.address;
  expect(await contentOf('contentFormat=headers')).toEqual({ address, type: 'note', ref: 'r' });
  expect(await contentOf('contentFormat=none')).toBeUndefined();
  expect(await contentOf('excludeContent=true')).toBeUndefined();
});

test('messages.json: every filter of the network finds what it names and nothing else', async () => {
  await using fixture = await startApi({ allow: 'any' });
  const { operator, content } = fixture;
  const other = makeAuthor();
  await content.put(bytesOf('file'), { maxBytes: 9 });
  const post = await operator.sign('POST', { type: 'note', ref: 'origin', content: { tags: ['red', 'blue'] } });
  const store = await other.store(fileHashOf('file'), { payment: { type: 'credit' } });
  const aggregate = await other.sign('AGGREGATE', { key: 'settings', content: { a: 1 } });
  const inChannel = { ...(await operator.post('x')), channel: 'TEST' };
  await accept(fixture, post, store, aggregate, inChannel);
  const [me, they] = [operator.signer.address, other.signer.address];
  const cases: [query: string, expected: Envelope[]][] = [
    ['msgType=STORE', [store]],
    ['msgTypes=STORE,AGGREGATE', [store, aggregate]],
    ['msgStatuses=processed', [post, store, aggregate, inChannel]],
    ['msgStatuses=removing', []],
    [`addresses=${me.toUpperCase().replace('0X', '0x')}`, [post, inChannel]],
    [`owners=${they}`, [store, aggregate]],
    ['channels=TEST', [inChannel]],
    ['chains=ETH', [post, store, aggregate, inChannel]],
    ['chains=SOL', []],
    ['refs=origin', [post]],
    ['tags=blue,green', [post]],
    ['contentTypes=note', [post]],
    ['contentKeys=settings', [aggregate]],
    [`contentHashes=${fileHashOf('file')}`, [store]],
    ['paymentTypes=credit', [store]],
    [`hashes[]=${post.item_hash}&hashes[]=${store.item_hash}`, [post, store]],
    [`hashes=${post.item_hash}&msgTypes=STORE`, []],
    [`startDate=${inChannel.time}&addresses=${me}`, post.time >= inChannel.time ? [post, inChannel] : [inChannel]],
    [`endDate=${post.time}`, [store, aggregate, inChannel].filter(({ time }) => time < post.time)],
    ['startBlock=1', []],
    ['unknown=1&channels=', [post, store, aggregate, inChannel]],
  ];
  for (const [query, expected] of cases) {
    const wanted = expected.map(({ item_hash }) => item_hash);
    expect([query, (await hashesOf(fixture, query)).toSorted()]).toEqual([query, wanted.toSorted()]);
    expect((await hashesOf(fixture, `${query}&cursor=`)).toSorted()).toEqual(wanted.toSorted());
  }
});

test('messages.json: tells messages of other statuses when they are asked for', async () => {
  await using fixture = await startApi();
  const { operator } = fixture;
  const gone = await operator.post('gone');
  const forget = await operator.forget(gone.item_hash);
  const pending = await operator.store(fileHashOf('later'));
  const forged = { ...(await operator.post('y')), signature: '0x00' };
  await accept(fixture, gone, forget, pending, forged);
  expect(await hashesOf(fixture, '')).toEqual([forget.item_hash]);
  const forgotten = await fixture.call('GET', `${LIST}?msgStatuses=forgotten`);
  expect((forgotten.json as Listed).messages).toEqual([
    expect.objectContaining({
      item_hash: gone.item_hash,
      item_content: null,
      content: null,
      forgotten_by: [forget.item_hash],
    }),
  ]);
  const both = [pending.item_hash, forged.item_hash].toSorted();
  expect((await hashesOf(fixture, 'msgStatuses=pending,rejected')).toSorted()).toEqual(both);
  expect((await hashesOf(fixture, 'msgStatuses=pending,rejected&cursor=')).toSorted()).toEqual(both);
});

test('messages.json: refuses what it cannot read, naming the parameter', async () => {
  await using fixture = await startApi();
  const cursor = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const cases = [
    ['pagination=-1', 'pagination'],
    ['pagination=0&cursor=', 'pagination'],
    ['page=0', 'page'],
    ['page=1e9', 'page'],
    ['msgTypes=NOTE', 'msgTypes'],
    ['chains=NONE', 'chains'],
    ['hashes=abc', 'hashes'],
    ['contentHashes=abc', 'contentHashes'],
    ['paymentTypes=gold', 'paymentTypes'],
    ['sortBy=size', 'sortBy'],
    ['sortOrder=2', 'sortOrder'],
    ['contentFormat=half', 'contentFormat'],
    ['excludeContent=perhaps', 'excludeContent'],
    ['startDate=x', 'startDate'],
    ['startDate=9&endDate=8', 'endDate'],
    ['startBlock=-1', 'startBlock'],
    ['msgStatuses=forgotten,processed', 'msgStatuses'],
    ['msgStatuses=removed,removing', 'msgStatuses'],
    ['msgStatuses=pending,processed&pagination=200&page=51', 'page'],
    ['cursor=abc', 'cursor'],
    [`cursor=${cursor({ h: 1, t: '2026-01-01T00:00:00Z' })}`, 'cursor'],
    [`cursor=${cursor({ h: 'a', t: 'now' })}`, 'cursor'],
    [`cursor=${cursor({ h: 'a'.repeat(200), t: '2026-01-01T00:00:00Z' })}`, 'cursor'],
  ];
  for (const [query, field] of cases) {
    const { status, json } = await fixture.call('GET', `${LIST}?${query}`);
    expect([query, status, json]).toEqual([
      query,
      422,
      expect.objectContaining({ code: 'API_QUERY_MALFORMED', cause: expect.stringContaining(`'${field}'`) }),
    ]);
  }
  expect((await fixture.call('GET', '/api/v0/messages/page/0.json')).status).toBe(422);
  expect(fixture.failures).toEqual([]);
});

test('messages.json: a cursor of the network, without our member, works as well', async () => {
  await using fixture = await startApi();
  const messages = [await fixture.operator.post('1'), await fixture.operator.post('2')];
  await accept(fixture, ...messages);
  const [older, newer] = messages;
  const t = new Date((newer?.time ?? 0) * 1000).toISOString().replace('Z', '+00:00');
  const cursor = Buffer.from(JSON.stringify({ h: newer?.item_hash, t })).toString('base64url');
  expect(await hashesOf(fixture, `cursor=${cursor}`)).toEqual([older?.item_hash]);
});

test('messages.json: a long list is sent in pieces, whole', async () => {
  await using fixture = await startApi();
  const text = 'é'.repeat(40_000);
  for (let count = 0; count < 5; count++) await accept(fixture, await fixture.operator.post(text));
  const { json, headers } = await fixture.call('GET', LIST);
  expect(headers['transfer-encoding']).toBe('chunked');
  const contents = (json as Listed).messages.map(({ content }) => (content as { content: string }).content);
  expect(contents).toEqual(Array.from({ length: 5 }, () => text));
});

test('messages/hashes: tells every message that came, whatever became of it', async () => {
  await using fixture = await startApi();
  const { operator } = fixture;
  const post = await operator.post('x');
  const pending = await operator.store(fileHashOf('later'));
  await accept(fixture, post, pending);
  const get = async (query: string) => (await fixture.call('GET', `/api/v0/messages/hashes?${query}`)).json;
  expect(await get('')).toMatchObject({ pagination_total: 2, pagination_item: 'hashes', pagination_per_page: 20 });
  expect(await get('status=pending')).toMatchObject({ hashes: [pending.item_hash], pagination_total: 1 });
  expect(await get('status=processed&hash_only=false')).toMatchObject({
    hashes: [{ item_hash: post.item_hash, status: 'processed', reception_time: expect.stringMatching(/Z$/) }],
  });
  expect(await get('endDate=1')).toMatchObject({ hashes: [], pagination_total: 0 });
  expect((await fixture.call('GET', '/api/v0/messages/hashes?status=lost')).status).toBe(422);
});
