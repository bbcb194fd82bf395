import { importAccountFromPrivateKey } from '@aleph-sdk/ethereum';
import { InstanceMessageClient, ProgramMessageClient, StoreMessageClient } from '@aleph-sdk/message';
import { generateKey } from '@vmlet/messages/sign';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

/** The official client asks a node for prices. */
let node: TestNode;
beforeAll(async () => {
  node = await startTestNode({ allow: 'any' });
});
afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

const account = importAccountFromPrivateKey(Buffer.from(generateKey()).toString('hex'));

test('official client: estimates a program that it has not uploaded', async () => {
  const client = new ProgramMessageClient(node.url);
  const answer = await client.getEstimatedCost({
    account,
    channel: 'TEST',
    entrypoint: 'main:app',
    file: Buffer.alloc(3 * 1024 * 1024),
    runtime: node.runtime,
    metadata: { name: 'estimate' },
  });
  expect(answer).toMatchObject({
    required_tokens: 400,
    payment_type: 'hold',
    cost: '400.000000000000000000',
    charged_address: account.address,
  });
  expect(answer.detail.map(({ type }) => type)).toEqual([
    'EXECUTION',
    'EXECUTION_PROGRAM_VOLUME_CODE',
    'EXECUTION_PROGRAM_VOLUME_RUNTIME',
    'EXECUTION_VOLUME_DISCOUNT',
  ]);
});

test('official client: estimates a file and an instance, and asks what a program in force costs', async () => {
  const store = new StoreMessageClient(node.url);
  const file = await store.getEstimatedCost({
    account,
    channel: 'TEST',
    fileObject: Buffer.alloc(3 * 1024 * 1024),
  });
  expect(file.cost).toBe('0.999999999000000000');
  const instance = await new InstanceMessageClient(node.url).getEstimatedCost({ account, channel: 'TEST' });
  // One compute unit for a second.
  expect([instance.payment_type, instance.cost]).toEqual(['credit', '3.958333333333333333']);
  const program = await node.deploy({ 'main.py': 'app = None' });
  const cost = await new ProgramMessageClient(node.url).getCost(program);
  expect(cost).toMatchObject({ required_tokens: 200, charged_address: node.signer.address });
});
