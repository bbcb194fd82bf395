import { expect, test } from 'vitest';
import { MemoryBudget, type MemoryBudgetConfig } from './memory-budget.ts';

const never = new AbortController().signal;
const A = { owner: 'a', signal: never };
const B = { owner: 'b', signal: never };

function budgetOf(budgetMiB: number, config: Partial<MemoryBudgetConfig> = {}) {
  const asked: number[] = [];
  const budget = new MemoryBudget({ budgetMiB, maxWaiting: 8, waitMs: 60_000, ...config }, (short) =>
    asked.push(short),
  );
  return { budget, asked };
}

/** Whether each has its memory by now. */
async function settled(...all: Promise<unknown>[]): Promise<boolean[]> {
  const done = all.map(() => false);
  for (const [index, promise] of all.entries()) {
    void promise.then(() => {
      done[index] = true;
    });
  }
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return done;
}

test('memory budget: gives what is free at once, and the rest when machines have given theirs back', async () => {
  const { budget, asked } = budgetOf(100);
  const first = await budget.reserve(60, A);
  (await budget.reserve(40, A))[Symbol.dispose]();
  const second = budget.reserve(60, A);
  expect(await settled(second)).toEqual([false]);
  expect(asked).toEqual([20]);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
  (await budget.reserve(100, A))[Symbol.dispose]();
});

test('memory budget: serves its line in order, and lets nobody pass who wants less', async () => {
  const { budget, asked } = budgetOf(100);
  const first = await budget.reserve(60, A);
  const large = budget.reserve(90, A);
  const small = budget.reserve(10, A);
  expect(budget.tryReserve(10, 'a')).toBeUndefined();
  expect(await settled(large, small)).toEqual([false, false]);
  // Room is asked for all of the first few in line.
  expect(asked).toEqual([50, 60]);
  first[Symbol.dispose]();
  expect(await settled(large, small)).toEqual([true, true]);
});

test('memory budget: gives to an owner that has less before one that has more', async () => {
  const { budget } = budgetOf(100);
  const held = [await budget.reserve(50, A), await budget.reserve(50, A)];
  const more = [1, 2].map(() => budget.reserve(50, A));
  const other = budget.reserve(50, B);
  held[0]?.[Symbol.dispose]();
  expect(await settled(...more, other)).toEqual([false, false, true]);
  held[1]?.[Symbol.dispose]();
  expect(await settled(...more)).toEqual([true, false]);
});

test('memory budget: keeps what a machine does not need any more for others', async () => {
  const { budget } = budgetOf(100);
  const shrunk = await budget.reserve(100, A);
  const next = budget.reserve(60, A);
  shrunk.shrink(40);
  shrunk.shrink(80);
  expect(await settled(next)).toEqual([true]);
  shrunk[Symbol.dispose]();
  expect(budget.tryReserve(40, 'a')).toBeDefined();
});

test('memory budget: is full for what does not fit at all, beyond its line, and after too long a wait', async () => {
  const { budget } = budgetOf(100, { maxWaiting: 1, waitMs: 5 });
  await expect(budget.reserve(101, A)).rejects.toMatchObject({
    code: 'NODE_FULL',
    message: 'Cannot start a machine of 101 MiB: 0 of 100 MiB are in use, expected room',
  });
  await budget.reserve(100, A);
  const late = budget.reserve(1, A);
  await expect(budget.reserve(1, A)).rejects.toMatchObject({ code: 'NODE_FULL' });
  await expect(late).rejects.toMatchObject({ code: 'NODE_FULL' });
});

test('memory budget: asks for room anew, when a machine could go that could not before', async () => {
  const { budget, asked } = budgetOf(100);
  await budget.reserve(100, A);
  budget.changed();
  expect(asked).toEqual([]);
  void budget.reserve(30, A);
  budget.changed();
  expect(asked).toEqual([30, 30]);
});

test('memory budget: passes memory on, that it gave in the moment of giving up', async () => {
  const { budget } = budgetOf(100);
  const first = await budget.reserve(100, A);
  const controller = new AbortController();
  const leaving = budget.reserve(100, { owner: 'a', signal: controller.signal });
  const next = budget.reserve(100, A);
  controller.abort(new Error('left'));
  first[Symbol.dispose]();
  await expect(leaving).rejects.toThrow('left');
  (await next)[Symbol.dispose]();
  await expect(budget.reserve(1, { owner: 'a', signal: controller.signal })).rejects.toThrow('left');
});
