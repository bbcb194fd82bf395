import { expect, test } from 'vitest';
import { overBudget } from './budgets.ts';
import { compare, rowOf } from './stats.ts';

const row = (name: string, p50: number) => ({ name, unit: 'ms', n: 1, p50, p95: p50 });

test('budgets: name each row that is over its promise, and what the gateway adds', () => {
  expect(overBudget([row('full-boot-python', 5000), row('hot-direct', 1), row('hot-gateway', 1.5)])).toEqual([]);
  expect(overBudget([row('full-boot-python', 5001), row('hot-direct', 1), row('hot-gateway', 1.6)])).toEqual([
    'full-boot-python: 5001 ms, expected at most 5000',
    'hot-gateway: adds 0.600 ms to hot-direct, expected at most 0.5',
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
