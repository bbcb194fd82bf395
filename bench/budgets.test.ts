import { expect, test } from 'vitest';
import { overBudget } from './budgets.ts';
import { ratiosOf } from './part.ts';
import { roundRobin } from './round-robin.ts';
import { compare, difference, rowOf } from './stats.ts';

const row = (name: string, p50: number, p95 = p50) => ({ name, unit: 'ms', n: 1, p50, p95 });
const over = (...rows: ReturnType<typeof row>[]) => overBudget({ rows, ratios: {} });

test('budgets: name each row that is over its promise, and what the gateway adds', () => {
  expect(over(row('full-boot-python', 5000), row('hot-direct', 1), row('hot-gateway', 1.25))).toEqual([]);
  expect(over(row('full-boot-python', 5001), row('hot-direct', 1), row('hot-gateway', 1.6))).toEqual([
    'full-boot-python: 5001 ms, expected at most 5000',
    'hot-gateway: adds 0.600 ms to hot-direct, expected at most 0.3',
  ]);
});

test('budgets: look at the tail where one is promised, at rates from below, and at ratios', () => {
  expect(over(row('paused-node', 10, 26))).toEqual(['paused-node: 95th percentile 26 ms, expected at most 25']);
  expect(over(row('storm-100', 4.9))).toEqual(['storm-100: 4.9 ms, expected at least 5']);
  const ratios = { 'program-level-node/runsc-node': 0.6, 'gateway-throughput/nginx-throughput': 0.29, 'a/b': 9 };
  expect(overBudget({ rows: [], ratios })).toEqual([
    'program-level-node/runsc-node: 0.6, expected at most 0.5',
    'gateway-throughput/nginx-throughput: 0.29, expected at least 0.3',
  ]);
});

test('stats: median and 95th percentile are interpolated, in any order of the samples', () => {
  expect(rowOf('x', 'ms', [4, 1, 3, 2])).toEqual({ name: 'x', unit: 'ms', n: 4, p50: 2.5, p95: 3.85 });
});

test('stats: samples of one distribution are not told apart, and those of two are', () => {
  const a = Array.from({ length: 20 }, (_, index) => index);
  expect(compare(a, a)).toMatchObject({ ratio: 1, p: 1 });
  const slower = a.map((value) => value + 15);
  expect(compare(slower, a).p).toBeLessThan(0.001);
});

test('stats: a difference has an interval around it, which holds nothing where there is none', () => {
  const a = Array.from({ length: 30 }, (_, index) => 100 + (index % 7));
  const slower = a.map((value) => value + 20);
  const found = difference(slower, a);
  expect(found).toMatchObject({ value: 20 });
  expect(found.low).toBeGreaterThan(15);
  expect(found.high).toBeLessThan(25);
  const none = difference(a, a.toReversed());
  expect(none.low).toBeLessThanOrEqual(0);
  expect(none.high).toBeGreaterThanOrEqual(0);
  expect(difference(slower, a)).toEqual(found);
});

test('ratios: are of medians, and left out where a row is not there', () => {
  const pairs = [['a', 'b'] as const, ['a', 'c'] as const];
  expect(ratiosOf([row('a', 1), row('b', 3)], pairs)).toEqual({ 'a/b': 0.333 });
});

test('rounds: take a sample of each row in turn', async () => {
  const order: string[] = [];
  const sampler = (name: string) => async () => order.push(name);
  const samples = await roundRobin({ a: sampler('a'), b: sampler('b') }, { runs: 2, tell: () => {} });
  expect(order).toEqual(['a', 'b', 'a', 'b']);
  expect(samples).toEqual({ a: [1, 3], b: [2, 4] });
});
