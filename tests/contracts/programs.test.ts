import { ItemType, type MessageType, PaymentType } from '@aleph-sdk/message';
import type { ItemHash } from '@vmlet/messages';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CHANNEL, type ContractNode, startContractNode } from './network.ts';

const PROGRAM = `
import os

async def app(scope, receive, send):
    body = ("Hello from the SDK, " + os.environ["NAME"]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [[b"content-type", b"text/plain"]]})
    await send({"type": "http.response.body", "body": body})
`;

const code = () => Buffer.from(zipSync({ 'main.py': new TextEncoder().encode(PROGRAM) }));

let network: ContractNode;
beforeAll(async () => {
  network = await startContractNode();
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
});

test('programs: one that a client made of a file answers HTTP, until it is forgotten', async () => {
  const { client, node } = network;
  const program = await client.createProgram({
    channel: CHANNEL,
    file: code(),
    entrypoint: 'main:app',
    runtime: node.runtime,
    memory: 256,
    variables: { NAME: 'file' },
    metadata: { name: 'made-by-sdk' },
  });
  const answer = await node.ask(program.item_hash as ItemHash);
  expect([answer.status, await answer.text()]).toEqual([200, 'Hello from the SDK, file']);
  await client.forget({ hashes: [program.item_hash], channel: CHANNEL, sync: true });
  expect((await node.ask(program.item_hash as ItemHash)).status).toBe(404);
});

test('programs: one that a client made of a STORE is accepted with all that a client may say of it', async () => {
  const { client, node, account } = network;
  const store = await client.createStore({
    fileObject: new Blob([code()]),
    storageEngine: ItemType.storage,
    channel: CHANNEL,
    sync: true,
  });
  const program = await client.programClient.spawn({
    account,
    channel: CHANNEL,
    programRef: store.item_hash,
    entrypoint: 'main:app',
    runtime: node.runtime,
    subscriptions: [{ sender: account.address, channel: 'WATCHED' }],
    volumes: [{ mount: '/data', ref: store.item_hash, use_latest: true }],
  });
  const { content } = await client.getMessage<MessageType.program>(program.item_hash);
  expect(content).toMatchObject({ code: { ref: store.item_hash }, on: { message: [{ channel: 'WATCHED' }] } });
  const listed = await (await fetch(`${network.url}/api/v0/programs/on/message`)).json();
  expect(listed).toContainEqual({
    item_hash: program.item_hash,
    content: { on: { message: [{ sender: account.address, channel: 'WATCHED' }] } },
  });
  await expect(
    client.createProgram({
      channel: CHANNEL,
      programRef: 'b'.repeat(64),
      entrypoint: 'main:app',
      runtime: node.runtime,
    }),
  ).rejects.toThrow('does not exist');
});

test('programs: an instance is accepted, listed and forgotten', async () => {
  const { client, node, account } = network;
  const instance = await client.createInstance({
    channel: CHANNEL,
    rootfs: { parent: { ref: node.runtime }, size_mib: 20_480 },
    authorized_keys: ['ssh-ed25519 AAAA test'],
    resources: { vcpus: 1, memory: 2048, seconds: 30 },
    payment: { chain: account.getChain(), type: PaymentType.hold },
  });
  const { messages } = await client.getMessages({ hashes: [instance.item_hash] });
  expect(messages).toMatchObject([{ type: 'INSTANCE', content: { rootfs: { parent: { ref: node.runtime } } } }]);
  await client.forget({ hashes: [instance.item_hash], channel: CHANNEL, sync: true });
  await expect(client.getMessage(instance.item_hash)).rejects.toThrow('forgotten');
});

test('programs: their cost is estimated before, and told after', async () => {
  const { client, account, node } = network;
  const estimate = await client.programClient.getEstimatedCost({
    account,
    channel: CHANNEL,
    file: code(),
    entrypoint: 'main:app',
    runtime: node.runtime,
    estimated_size_mib: 1,
  });
  expect(estimate).toMatchObject({ payment_type: 'hold', detail: expect.any(Array), cost: expect.any(String) });
  const store = await client.storeClient.getEstimatedCost({
    account,
    channel: CHANNEL,
    fileObject: new Blob(['x'.repeat(1000)]),
  });
  expect(store).toMatchObject({ required_tokens: expect.any(Number), charged_address: account.address });
  const instance = await client.instanceClient.getEstimatedCost({
    account,
    channel: CHANNEL,
    payment: { chain: account.getChain(), type: PaymentType.hold },
  });
  expect(Number(instance.cost)).toBeGreaterThan(0);
  const made = await client.createStore({ fileObject: new Blob(['cost']), channel: CHANNEL, sync: true });
  expect(await client.storeClient.getCost(made.item_hash)).toMatchObject({ payment_type: 'hold' });
});
