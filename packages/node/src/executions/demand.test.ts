import type { ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { Demand } from './demand.ts';

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)] as [ItemHash, ItemHash];
const HALF_LIFE_MS = 600_000;

test('demand: counts requests, each of them half as much with each half-life', () => {
  const demand = new Demand();
  for (let count = 0; count < 4; count++) demand.note(A, 0);
  expect(demand.score(A, 0)).toBe(4);
  expect(demand.score(A, HALF_LIFE_MS)).toBe(2);
  demand.note(A, HALF_LIFE_MS);
  expect(demand.score(A, 2 * HALF_LIFE_MS)).toBe(1.5);
  expect(demand.msUntil(A, { score: 0.75, nowMs: 2 * HALF_LIFE_MS })).toBe(HALF_LIFE_MS);
  expect(demand.msUntil(A, { score: 8, nowMs: 0 })).toBe(0);
  demand.forget(A);
  expect(demand.score(A, 0)).toBe(0);
});

test('demand: what was asked just now is likelier than what was asked more often long ago', () => {
  const demand = new Demand();
  for (let count = 0; count < 8; count++) demand.note(A, 0);
  demand.note(B, 4 * HALF_LIFE_MS);
  expect(demand.score(B, 4 * HALF_LIFE_MS)).toBeGreaterThan(demand.score(A, 4 * HALF_LIFE_MS));
});

test('demand: remembers a bounded number of programs, the likeliest', () => {
  const demand = new Demand();
  demand.note(A, 0);
  demand.note(A, 0);
  for (let number = 0; number < 5000; number++) demand.note(String(number).padStart(64, '0') as ItemHash, 1);
  expect(demand.score(A, 1)).toBeGreaterThan(1);
  expect(demand.score('0'.repeat(64) as ItemHash, 1)).toBe(0);
});
