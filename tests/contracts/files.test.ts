import { randomBytes } from 'node:crypto';
import { InvalidMessageError, ItemType, type MessageType } from '@aleph-sdk/message';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CHANNEL, type ContractNode, startContractNode } from './network.ts';

let network: ContractNode;
beforeAll(async () => {
  network = await startContractNode();
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
});

test('files: a client stores bytes by storage, and downloads them', async () => {
  const { client } = network;
  const bytes = randomBytes(300_000);
  const message = await client.createStore({
    fileObject: new Blob([bytes]),
    metadata: { name: 'random' },
    channel: CHANNEL,
    sync: true,
  });
  const stored = await client.getMessage<MessageType.store>(message.item_hash);
  expect(stored.content).toMatchObject({ item_type: 'storage', metadata: { name: 'random' } });
  expect(Buffer.from(await client.downloadFile(stored.content.item_hash))).toEqual(bytes);
});

test('files: a client stores bytes by ipfs, and another pins them', async () => {
  const { client, solClient } = network;
  const bytes = randomBytes(600_000);
  const message = await client.createStore({
    fileObject: bytes,
    storageEngine: ItemType.ipfs,
    channel: CHANNEL,
    sync: true,
  });
  const { item_hash: cid } = message.content;
  expect(cid).toMatch(/^Qm/);
  expect(Buffer.from(await client.downloadFile(cid))).toEqual(bytes);
  const pin = await solClient.storeClient.pin({ account: solClient.account, fileHash: cid, channel: CHANNEL });
  expect((await client.getMessage<MessageType.store>(pin.item_hash)).content.item_hash).toBe(cid);
});

test('files: a client forgets its file, and is told that it is in use before', async () => {
  const { client, node } = network;
  const code = await client.createStore({ fileObject: new Blob(['x']), channel: CHANNEL, sync: true });
  const program = await client.createProgram({
    channel: CHANNEL,
    programRef: code.item_hash,
    entrypoint: 'main:app',
    runtime: node.runtime,
  });
  const forget = (hash: string) => client.forget({ hashes: [hash], channel: CHANNEL, sync: true });
  await expect(forget(code.item_hash)).rejects.toBeInstanceOf(InvalidMessageError);
  await forget(program.item_hash);
  await forget(code.item_hash);
  await expect(client.getMessage(code.item_hash)).rejects.toThrow('forgotten');
});
