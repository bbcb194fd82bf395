import { expect, test } from 'vitest';
import { MemoryBudget } from './memory-budget.ts';

const never = new AbortController().signal;

test('budget: gives memory until it is used up, then what is freed', async () => {
  const budget = new MemoryBudget(100);
  const first = await budget.reserve(60, { evict: () => false, signal: never });
  await budget.reserve(40, { evict: () => false, signal: never });
  const asked = { times: 0 };
  const evict = () => ++asked.times > 0;
  const third = budget.reserve(50, { evict, signal: never });
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  expect(asked.times).toBe(1);
});

test('budget: asks for one more machine to go, until there is room', async () => {
  const budget = new MemoryBudget(100);
  const held = await Promise.all([1, 2, 3, 4].map(() => budget.reserve(25, { evict: () => false, signal: never })));
  const evict = () => {
    const one = held.shift();
    queueMicrotask(() => one?.[Symbol.dispose]());
    return one !== undefined;
  };
  await budget.reserve(75, { evict, signal: never });
  expect(held).toHaveLength(1);
});

test('budget: is full, when none goes, and for what never fits', async () => {
  const budget = new MemoryBudget(100);
  await budget.reserve(100, { evict: () => false, signal: never });
  await expect(budget.reserve(1, { evict: () => false, signal: never })).rejects.toMatchObject({
    code: 'NODE_FULL',
    message: 'Cannot start a machine of 1 MiB: 100 of 100 MiB are in use, expected room',
  });
  const evict = () => {
    throw new TypeError('Cannot evict: nobody may be asked to go for what never fits');
  };
  await expect(new MemoryBudget(100).reserve(101, { evict, signal: never })).rejects.toMatchObject({
    code: 'NODE_FULL',
  });
});

test('budget: stops waiting, when the signal aborts, and takes nothing', async () => {
  const budget = new MemoryBudget(10);
  const held = await budget.reserve(10, { evict: () => false, signal: never });
  const client = new AbortController();
  const waiting = budget.reserve(10, { evict: () => true, signal: client.signal });
  client.abort(new Error('left'));
  await expect(waiting).rejects.toThrow('left');
  held[Symbol.dispose]();
  (await budget.reserve(10, { evict: () => false, signal: never }))[Symbol.dispose]();
});
