import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { takeUidBlock } from './uids.ts';

/** A range of its own for each test: the locks are the host's. */
const range = (count: number) => ({ first: 3_000_000_000 + randomInt(1000) * 100_000, count });

test('uids: two nodes have none in common, whatever their homes', async () => {
  const shared = range(2048);
  await using one = await takeUidBlock('00000001', shared);
  await using other = await takeUidBlock('00000001', shared);
  expect(Math.abs(one.first - other.first)).toBeGreaterThanOrEqual(512);
});

test('uids: a home gets the same ones again, once they are free', async () => {
  const shared = range(4096);
  const one = await takeUidBlock('00000003', shared);
  await one[Symbol.asyncDispose]();
  await using again = await takeUidBlock('00000003', shared);
  expect(again.first).toBe(one.first);
});

test('uids: no two machines have one at the same time, and each rests before it is used again', async () => {
  await using block = await takeUidBlock('0', range(512));
  const taken = Array.from({ length: 512 }, () => block.take());
  expect(new Set(taken).size).toBe(512);
  expect(() => block.take()).toThrow('all 512 user ids of machines are in use');
  block.give(taken[7] ?? 0);
  block.give(taken[3] ?? 0);
  expect(block.take()).toBe(taken[3]);
});

test('uids: says so, when other nodes have all', async () => {
  const shared = range(512);
  await using _one = await takeUidBlock('0', shared);
  await expect(takeUidBlock('1', shared)).rejects.toThrow('are taken by other nodes');
});
