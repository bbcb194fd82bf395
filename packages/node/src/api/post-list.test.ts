import type { Envelope } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { type ApiFixture, startApi } from './testing.ts';

interface Listed {
  posts: (Record<string, unknown> & { original_item_hash: string })[];
}

async function postsOf(fixture: ApiFixture, query: string): Promise<Listed['posts']> {
  const { status, json } = await fixture.call('GET', `/api/v1/posts.json?${query}`);
  expect([query, status]).toEqual([query, 200]);
  return (json as Listed).posts;
}

const originals = (posts: Listed['posts']) => posts.map(({ original_item_hash: hash }) => hash);

/** Two posts, the older of which is amended after the other came. */
async function amended(fixture: ApiFixture) {
  const { operator } = fixture;
  const post = (type: string, content: object, ref?: string) =>
    operator.sign('POST', { type, content, ...(ref === undefined ? {} : { ref }) });
  const first = await post('note', { text: 'old', tags: ['red'] }, 'thread');
  const second = await post('news', { text: 'news' });
  const amend = await post('amend', { text: 'new', tags: ['blue'] }, first.item_hash);
  for (const message of [first, second, amend]) await fixture.ledger.accept(message);
  return { first, second, amend };
}

test('posts.json: an amended post is its original with the newest content, and the last changed comes first', async () => {
  await using fixture = await startApi();
  const { first, second, amend } = await amended(fixture);
  const address = fixture.operator.signer.address;
  const signedTime = ({ item_content: text }: Envelope) => (JSON.parse(text ?? '') as { time: number }).time;
  const iso = (message: Envelope) => new Date(signedTime(message) * 1000).toISOString();
  const { json } = await fixture.call('GET', '/api/v1/posts.json');
  expect(json).toMatchObject({
    posts: [
      {
        item_hash: amend.item_hash,
        content: { text: 'new', tags: ['blue'] },
        original_item_hash: first.item_hash,
        original_type: 'note',
        address,
        ref: 'thread',
        channel: null,
        created: iso(first),
        last_updated: iso(amend),
      },
      { item_hash: second.item_hash, original_item_hash: second.item_hash },
    ],
    pagination_total: 2,
    pagination_item: 'posts',
  });
  const v0 = await fixture.call('GET', '/api/v0/posts.json?pagination=1');
  expect((v0.json as Listed).posts).toEqual([
    {
      chain: 'ETH',
      item_hash: amend.item_hash,
      sender: address,
      type: 'amend',
      channel: null,
      confirmed: false,
      content: { text: 'new', tags: ['blue'] },
      item_content: amend.item_content,
      item_type: 'inline',
      signature: amend.signature,
      size: Buffer.byteLength(amend.item_content ?? ''),
      time: amend.time,
      confirmations: [],
      original_item_hash: first.item_hash,
      original_signature: first.signature,
      original_type: 'note',
      hash: first.item_hash,
      address,
      ref: 'thread',
    },
  ]);
});

test('posts.json: filters look at the original, tags at what is shown', async () => {
  await using fixture = await startApi();
  const { first, second, amend } = await amended(fixture);
  const both = [first.item_hash, second.item_hash];
  const cases: [query: string, expected: string[]][] = [
    ['types=note', [first.item_hash]],
    ['types=amend', []],
    ['types=note,news', both],
    [`hashes=${first.item_hash}`, [first.item_hash]],
    [`hashes=${amend.item_hash}`, []],
    ['refs=thread', [first.item_hash]],
    [`refs=${first.item_hash}`, []],
    [`addresses=${fixture.operator.signer.address}`, both],
    ['tags=blue', [first.item_hash]],
    ['tags=red', []],
    ['channels=none', []],
    [`startDate=${amend.time}`, [first.item_hash]],
    ['sortOrder=1', both.toReversed()],
    ['types=news&addresses=nobody', []],
  ];
  for (const [query, expected] of cases) {
    expect([query, originals(await postsOf(fixture, query))]).toEqual([query, expected]);
    expect(originals(await postsOf(fixture, `${query}&cursor=`))).toEqual(expected);
  }
  const page = await fixture.call('GET', '/api/v1/posts/page/2.json?pagination=1');
  expect(page.json).toMatchObject({ posts: [{ item_hash: second.item_hash }], pagination_page: 2 });
  expect((await fixture.call('GET', '/api/v0/posts/page/x.json')).status).toBe(422);
});

test('posts.json: a post goes when it is forgotten, and its content returns when its amend is', async () => {
  await using fixture = await startApi();
  const { first, second, amend } = await amended(fixture);
  await fixture.ledger.accept(await fixture.operator.forget(amend.item_hash));
  expect(await postsOf(fixture, '')).toMatchObject([
    { item_hash: second.item_hash },
    { item_hash: first.item_hash, content: { text: 'old' } },
  ]);
  await fixture.ledger.accept(await fixture.operator.forget(first.item_hash));
  expect(originals(await postsOf(fixture, ''))).toEqual([second.item_hash]);
});
