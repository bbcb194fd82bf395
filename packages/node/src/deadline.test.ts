import { describe, expect, test } from 'vitest';
import { DeadlinePassed, deadline, idleTimer, orAborted, TimeLimits } from './deadline.ts';

const aborted = (signal: AbortSignal) =>
  signal.aborted
    ? Promise.resolve()
    : new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));

describe('deadline', () => {
  test('deadline: aborts with its own reason, when it has passed', async () => {
    using limit = deadline(5);
    expect(limit.expired).toBe(false);
    await aborted(limit.signal);
    expect(limit).toMatchObject({ ms: 5, expired: true });
    expect(limit.signal.reason).toBeInstanceOf(DeadlinePassed);
    expect(limit.signal.reason.message).toBe('Cannot wait longer: 5 ms passed');
  });

  test('deadline: aborts with the reason of its parent, and has not expired then', async () => {
    const parent = new AbortController();
    using limit = deadline(60_000, parent.signal);
    parent.abort(new Error('gone'));
    expect(limit.signal.reason).toMatchObject({ message: 'gone' });
    expect(limit.expired).toBe(false);
    using late = deadline(60_000, parent.signal);
    expect(late.signal.reason).toMatchObject({ message: 'gone' });
  });

  test('deadline: has not expired, when its parent is a deadline that has', async () => {
    using outer = deadline(1);
    using inner = deadline(60_000, outer.signal);
    await aborted(inner.signal);
    expect(outer.expired).toBe(true);
    expect(inner.expired).toBe(false);
  });

  test('deadline: waits, when it is longer than a timer can be', async () => {
    using limit = deadline(315_360_000_000);
    using short = deadline(5);
    await aborted(short.signal);
    expect(limit.signal.aborted).toBe(false);
  });

  test('time limit: calls back once when it has passed, and never when it is disposed of', async () => {
    const limits = new TimeLimits();
    const passed: DeadlinePassed[] = [];
    using limit = limits.start(1, (reason) => passed.push(reason));
    const never = limits.start(1, (reason) => passed.push(reason));
    never[Symbol.dispose]();
    using longer = deadline(20);
    await aborted(longer.signal);
    expect(passed).toEqual([new DeadlinePassed(1)]);
    expect([limit.expired, never.expired]).toEqual([true, false]);
  });

  test('time limit: is whole again, when its timer was used before, by one that passed or was over in time', async () => {
    const limits = new TimeLimits();
    const passed: string[] = [];
    for (const round of ['first', 'second']) {
      using limit = limits.start(1, () => passed.push(round));
      expect(limit.expired).toBe(false);
      using longer = deadline(10);
      await aborted(longer.signal);
      expect(limit.expired).toBe(true);
    }
    limits.start(60_000, () => passed.push('other'))[Symbol.dispose]();
    using again = limits.start(5, () => passed.push('third'));
    using longer = deadline(20);
    await aborted(longer.signal);
    expect(again.expired).toBe(true);
    expect(passed).toEqual(['first', 'second', 'third']);
  });

  test('time limit: waits, when it is longer than a timer can be', async () => {
    using limit = new TimeLimits().start(315_360_000_000, () => {});
    using short = deadline(5);
    await aborted(short.signal);
    expect(limit.expired).toBe(false);
  });

  test('deadline: leaves its parent alone, when it is disposed of', () => {
    const parent = new AbortController();
    const limit = deadline(60_000, parent.signal);
    limit[Symbol.dispose]();
    parent.abort();
    expect(limit.signal.aborted).toBe(false);
  });
});

describe('idleTimer', () => {
  test('idleTimer: calls once after arm, and not when disarmed or disposed of', async () => {
    const calls: string[] = [];
    using armed = idleTimer(5, () => calls.push('armed'));
    using disarmed = idleTimer(5, () => calls.push('disarmed'));
    const disposed = idleTimer(5, () => calls.push('disposed'));
    for (const timer of [armed, disarmed, disposed]) timer.arm();
    disarmed.disarm();
    disposed[Symbol.dispose]();
    disposed.arm();
    using limit = deadline(50);
    await aborted(limit.signal);
    expect(calls).toEqual(['armed']);
  });
});

describe('orAborted', () => {
  test('orAborted: gives the promise’s own end, when nothing aborts', async () => {
    const { signal } = new AbortController();
    expect(await orAborted(Promise.resolve(1), signal)).toBe(1);
    await expect(orAborted(Promise.reject(new Error('own')), signal)).rejects.toThrow('own');
  });

  test('orAborted: rejects with the reason at once, and a later failure is handled', async () => {
    const controller = new AbortController();
    const late = Promise.withResolvers<void>();
    const waiting = orAborted(late.promise, controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    late.reject(new Error('late'));
    await expect(orAborted(Promise.reject(new Error('x')), controller.signal)).rejects.toThrow('enough');
  });
});
