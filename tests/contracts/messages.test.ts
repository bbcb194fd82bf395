import { EventEmitter, once } from 'node:events';
import { importAccountFromPrivateKey } from '@aleph-sdk/ethereum';
import {
  ForgottenMessageError,
  InvalidMessageError,
  ItemType,
  MessageNotFoundError,
  MessageType,
} from '@aleph-sdk/message';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CHANNEL, type ContractNode, startContractNode } from './network.ts';

let network: ContractNode;
beforeAll(async () => {
  network = await startContractNode();
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
});

test.each(['client', 'solClient'] as const)('clients: %s posts, amends and finds a post', async (name) => {
  const client = network[name];
  const { account } = client;
  const channel = `${CHANNEL}-${name}`;
  const created = await client.createPost({
    postType: 'blog',
    content: { title: 'one', tags: ['a'] },
    channel,
    sync: true,
  });
  const found = await client.getMessage<MessageType.post>(created.item_hash);
  expect(found).toMatchObject({ item_hash: created.item_hash, sender: account.address, type: 'POST', channel });
  expect(found.content).toMatchObject({ type: 'blog', address: account.address, content: { title: 'one' } });
  const amend = await client.createPost({
    postType: 'amend',
    ref: created.item_hash,
    content: { title: 'two', tags: ['a'] },
    channel,
    sync: true,
  });
  const post = await client.getPost({ hashes: [created.item_hash] });
  expect(post).toMatchObject({
    content: { title: 'two' },
    item_hash: amend.item_hash,
    original_item_hash: created.item_hash,
    original_type: 'blog',
    address: account.address,
  });
  const { posts, pagination_total } = await client.getPosts({
    types: 'blog',
    addresses: [account.address],
    tags: ['a'],
    channels: [channel],
  });
  expect([posts.length, pagination_total]).toEqual([1, 1]);
});

test('clients: a client merges its aggregates and reads them by key', async () => {
  const { client, account } = network;
  await client.createAggregate({ key: 'profile', content: { name: 'a', age: 1 }, channel: CHANNEL, sync: true });
  await client.createAggregate({ key: 'profile', content: { age: 2 }, channel: CHANNEL, sync: true });
  await client.createAggregate({ key: 'other', content: { x: 1 }, channel: CHANNEL, sync: true });
  expect(await client.fetchAggregate(account.address, 'profile')).toEqual({ name: 'a', age: 2 });
  expect(await client.fetchAggregates(account.address, ['profile', 'other'])).toEqual({
    profile: { name: 'a', age: 2 },
    other: { x: 1 },
  });
  await expect(client.fetchAggregate(account.address, 'missing')).rejects.toBeInstanceOf(MessageNotFoundError);
});

test('clients: content of any length is posted and read back', async () => {
  const { client } = network;
  const body = 'é'.repeat(30_000);
  const created = await client.createPost({ postType: 'long', content: { body }, channel: CHANNEL, sync: true });
  expect(created.item_type).toBe(ItemType.storage);
  const found = await client.getMessage<MessageType.post>(created.item_hash);
  expect(found.content.content).toEqual({ body });
  const onIpfs = await client.createPost({
    postType: 'ipfs',
    content: { short: true },
    storageEngine: ItemType.ipfs,
    channel: CHANNEL,
    sync: true,
  });
  expect(onIpfs.item_hash).toMatch(/^Qm/);
  expect((await client.getMessage<MessageType.post>(onIpfs.item_hash)).content.content).toEqual({ short: true });
});

test('clients: messages are listed by what a client asks for, page by page', async () => {
  const { client, account } = network;
  const channel = 'LISTED';
  const hashes: string[] = [];
  for (const number of [1, 2, 3]) {
    const { item_hash } = await client.createPost({
      postType: 'listed',
      content: { number, tags: [`t${number}`] },
      channel,
      sync: true,
    });
    hashes.push(item_hash);
  }
  const aggregate = await client.createAggregate({ key: 'listed', content: {}, channel, sync: true });
  const list = async (config: Parameters<typeof client.getMessages>[0]) => {
    const answer = await client.getMessages({ channels: [channel], ...config });
    return { ...answer, hashes: answer.messages.map(({ item_hash }) => item_hash) };
  };
  expect(await list({ pagination: 3 })).toMatchObject({
    hashes: [aggregate.item_hash, hashes[2], hashes[1]],
    pagination_total: 4,
    pagination_page: 1,
    pagination_per_page: 3,
    pagination_item: 'messages',
  });
  expect((await list({ pagination: 3, page: 2 })).hashes).toEqual([hashes[0]]);
  expect((await list({ messageTypes: [MessageType.aggregate] })).hashes).toEqual([aggregate.item_hash]);
  expect((await list({ contentTypes: ['listed'] })).pagination_total).toBe(3);
  expect((await list({ contentKeys: ['listed'] })).hashes).toEqual([aggregate.item_hash]);
  expect((await list({ tags: ['t1', 't3'] })).hashes).toEqual([hashes[2], hashes[0]]);
  expect((await list({ hashes: hashes.slice(0, 1), addresses: [account.address] })).hashes).toEqual([hashes[0]]);
  expect((await list({ endDate: new Date(1000) })).hashes).toEqual([]);
});

test('clients: a watcher gets the past first, and then what comes into force', async () => {
  const { client, messages } = network;
  const channel = 'WATCHED';
  const post = (number: number) => client.createPost({ postType: 'watched', content: { number }, channel, sync: true });
  const past = [await post(1), await post(2)];
  const watcher = messages.getMessagesSocket({ channels: [channel], history: 10 });
  const socket = watcher.getSocket();
  if (!(socket instanceof EventEmitter)) throw new TypeError('Cannot watch: not the socket of Node.js');
  await once(socket, 'open');
  const live = post(3);
  while (watcher.getData().length < 3) await once(socket, 'message');
  const told = watcher.getData().map(({ item_hash }) => item_hash);
  expect(told).toEqual([...past, await live].map(({ item_hash }) => item_hash));
  expect(watcher.getData()[2]).toMatchObject({ channel, confirmed: false, content: { content: { number: 3 } } });
  const closed = once(socket, 'close');
  watcher.closeSocket();
  expect((await closed)[0]).toBe(1000);
});

test('clients: a watcher hears that its node stops', async () => {
  const other = await startContractNode();
  const socket = other.messages.getMessagesSocket({}).getSocket();
  if (!(socket instanceof EventEmitter)) throw new TypeError('Cannot watch: not the socket of Node.js');
  await once(socket, 'open');
  const closed = once(socket, 'close');
  await other[Symbol.asyncDispose]();
  expect((await closed)[0]).toBe(1001);
});

test('clients: what is forgotten is found no more, and says so', async () => {
  const { client } = network;
  const { item_hash: hash } = await client.createPost({ postType: 'gone', content: 'x', channel: CHANNEL, sync: true });
  const forget = await client.forget({ hashes: [hash], reason: 'a test', channel: CHANNEL, sync: true });
  await expect(client.getMessage(hash)).rejects.toBeInstanceOf(ForgottenMessageError);
  expect((await client.getMessage<MessageType.forget>(forget.item_hash)).content).toMatchObject({ hashes: [hash] });
  expect((await client.getMessages({ hashes: [hash] })).messages).toEqual([]);
});

test('clients: errors arrive as the classes that clients know', async () => {
  const { client, messages } = network;
  await expect(client.getMessage('a'.repeat(64))).rejects.toBeInstanceOf(MessageNotFoundError);
  await expect(client.getPost({ hashes: ['a'.repeat(64)] })).rejects.toBeInstanceOf(MessageNotFoundError);
  const stranger = importAccountFromPrivateKey('11'.repeat(32));
  // Signed by another key than that of its sender.
  const forged = Object.assign(Object.create(Object.getPrototypeOf(stranger)), stranger, {
    address: client.account.address,
  });
  const { postClient } = client;
  await expect(
    postClient.send({ account: forged, postType: 'x', content: {}, channel: CHANNEL, sync: true }),
  ).rejects.toBeInstanceOf(InvalidMessageError);
  // In the name of somebody who permits nothing.
  await expect(
    client.createPost({ postType: 'x', content: {}, address: stranger.address, channel: CHANNEL, sync: true }),
  ).rejects.toBeInstanceOf(InvalidMessageError);
  await expect(messages.get({ hash: 'not-a-hash' })).rejects.toThrow('Error while querying message');
});

test('clients: who is permitted writes in the name of another', async () => {
  const { client, solClient, account } = network;
  const authorizations = [{ address: solClient.account.address, types: ['POST'] }];
  await client.createAggregate({ key: 'security', content: { authorizations }, channel: 'security', sync: true });
  const post = await solClient.createPost({
    postType: 'delegated',
    content: {},
    address: account.address,
    channel: CHANNEL,
    sync: true,
  });
  const found = await client.getMessage<MessageType.post>(post.item_hash);
  expect([found.sender, found.content.address]).toEqual([solClient.account.address, account.address]);
});
