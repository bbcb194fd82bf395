import type { ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { Demand } from './demand.ts';
import type { Runnable } from './runnable.ts';
import { SPARE_MIB, Spares, type SparesComponents } from './spares.ts';
import { startExecution, type TestExecution } from './testing.ts';

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)] as [ItemHash, ItemHash];
const never = new AbortController().signal;
const programOf = (itemHash: ItemHash): Runnable => ({
  ...{ itemHash, owner: '0x1', vcpus: 1, memoryMiB: 256 },
  prepare: () => Promise.reject(new Error('its machine is a stub')),
});

/** Spares whose executions are made by the test ahead of time, in the order that they are begun. */
async function startSpares(count: number, parts: Partial<SparesComponents> = {}) {
  const stack = new AsyncDisposableStack();
  const made: TestExecution[] = [];
  for (let index = 0; index < count; index++) {
    made.push(stack.use(await startExecution({}, { claim: async () => {} })));
  }
  const demand = new Demand();
  const begun: { itemHash: ItemHash; it: TestExecution }[] = [];
  const waiting: (() => void)[] = [];
  const spares = stack.use(
    new Spares({
      budgetMiB: 10 * SPARE_MIB,
      demand,
      isQuiet: () => true,
      wants: () => true,
      ...parts,
      begin: ({ itemHash }) => {
        const it = made[begun.length];
        if (!it) throw new RangeError('Cannot begin: the test has made no more');
        begun.push({ itemHash, it });
        for (const go of waiting.splice(0)) go();
        return it.execution;
      },
    }),
  );
  return {
    spares,
    demand,
    begun,
    /** Waits until so many have been begun; each of them is then up. */
    until: async (number: number) => {
      while (begun.length < number) await new Promise<void>((resolve) => waiting.push(resolve));
      const one = begun[number - 1];
      one?.it.up();
      await one?.it.execution.readyAhead;
      return one;
    },
    asked: (itemHash: ItemHash, times = 1) => {
      for (let count = 0; count < times; count++) demand.note(itemHash, performance.now());
      spares.learn(programOf(itemHash), 'program');
      spares.consider();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test('spares: are made for programs that start from snapshots, the likeliest first, and given once', async () => {
  await using it = await startSpares(3);
  it.demand.note(A, performance.now());
  it.spares.learn(programOf(A), 'boot');
  it.asked(A, 2);
  it.asked(B, 5);
  expect((await it.until(1))?.itemHash).toBe(B);
  const second = await it.until(2);
  expect(second?.itemHash).toBe(A);
  const taken = it.spares.take(A);
  expect(taken).toBe(second?.it.execution);
  expect(it.spares.take(A)).toBeUndefined();
  // Another one takes its place.
  expect((await it.until(3))?.itemHash).toBe(A);
});

test('spares: none for programs that boot, that have a machine, or beyond the budget', async () => {
  await using none = await startSpares(0, { wants: () => false });
  none.asked(A);
  none.spares.learn(programOf(B), 'boot');
  await using small = await startSpares(0, { budgetMiB: SPARE_MIB - 1 });
  small.asked(A);
  await using it = await startSpares(1);
  it.asked(A);
  await it.until(1);
  expect([...none.spares.programs(), ...small.spares.programs(), ...it.spares.programs()]).toEqual([A]);
});

test('spares: one goes for a program that is twice as likely to be asked', async () => {
  await using it = await startSpares(2, { budgetMiB: SPARE_MIB });
  it.asked(A);
  const first = await it.until(1);
  it.asked(B, 5);
  expect((await it.until(2))?.itemHash).toBe(B);
  await first?.it.execution.ended;
  expect(first?.it.machine.kills).toBe(1);
  expect([...it.spares.programs()]).toEqual([B]);
});

test('spares: make way for a start that waits for their processor, and are made again', async () => {
  await using it = await startSpares(2);
  it.asked(A);
  while (it.begun.length < 1) await new Promise<void>((resolve) => setImmediate(resolve));
  const first = it.begun[0]?.it;
  it.spares.yield();
  expect(first?.wakeSignal.aborted).toBe(true);
  first?.fail(first.wakeSignal.reason);
  expect((await it.until(2))?.itemHash).toBe(A);
  expect(it.spares.take(A)).toBe(it.begun[1]?.it.execution);
});

test('spares: are forgotten with their program, and when their machine ends', async () => {
  await using it = await startSpares(2);
  expect(await Promise.all([it.spares.make(programOf(A)), it.until(1)])).toMatchObject([true, {}]);
  it.spares.forget(A);
  await it.begun[0]?.it.execution.ended;
  expect([...it.spares.programs()]).toEqual([]);
  expect(await Promise.all([it.spares.make(programOf(B)), it.until(2)])).toMatchObject([true, {}]);
  it.begun[1]?.it.machine.kill();
  await it.begun[1]?.it.execution.ended;
  expect(it.spares.take(B)).toBeUndefined();
  await expect(it.begun[1]?.it.execution.acquire(never)).rejects.toThrow();
});
