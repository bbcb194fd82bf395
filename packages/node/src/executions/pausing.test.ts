import { describe, expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import { ExecutionOver } from './execution.ts';
import { noCpu, startExecution } from './testing.ts';

const never = new AbortController().signal;
const died = () => new VmletError('MACHINE_DIED', { operands: { machine: 'stub', found: 'exit code 1' } });
const textOf = async (log: { tail(lines: number): Promise<{ text: string }[]> }) =>
  (await log.tail(100)).map(({ text }) => text).join('\n');

async function startRunning(...given: Parameters<typeof startExecution>) {
  const it = await startExecution(...given);
  it.up();
  const lease = await it.execution.acquire(never);
  return { it, lease };
}

async function startPaused() {
  const { it, lease } = await startRunning();
  lease[Symbol.dispose]();
  expect(await it.execution.pause()).toBe(true);
  return it;
}

/** A spare, as it is made: warm and paused. */
async function startSpare(claim: (signal: AbortSignal) => Promise<void> = async () => {}) {
  const it = await startExecution({}, { claim });
  it.up();
  expect(await it.execution.readyAhead).toBe(true);
  return it;
}

describe('pausing', () => {
  test('execution: pauses its machine, when nobody has asked for a while, and charges nothing meanwhile', async () => {
    const told: string[] = [];
    const paused = Promise.withResolvers<void>();
    const cpu = {
      ...noCpu,
      pause: () => {
        told.push('pause');
        paused.resolve();
      },
      resume: () => void told.push('resume'),
    };
    const { it, lease } = await startRunning({ pauseAfterMs: 5 }, { cpu });
    await using _it = it;
    expect(await it.execution.pause()).toBe(false);
    lease[Symbol.dispose]();
    await paused.promise;
    expect(it.execution).toMatchObject({ state: 'paused', accepting: true, leaving: false });
    expect(it.machine.pauses).toBe(1);
    (await it.execution.acquire(never))[Symbol.dispose]();
    expect(told.slice(0, 2)).toEqual(['pause', 'resume']);
  });

  test('execution: resumes for the next request, which is told that it was, and those behind it are not', async () => {
    await using it = await startPaused();
    const first = it.execution.acquire(never);
    expect(it.execution.state).toBe('resuming');
    using lease = await first;
    expect(lease.phases).toEqual({ from: 'paused', steps: [{ name: 'resume', ms: expect.any(Number) }] });
    using hot = await it.execution.acquire(never);
    expect(hot.phases).toBeUndefined();
    expect(it.execution).toMatchObject({ state: 'running', inFlight: 2 });
  });

  test('execution: gives no place before the machine has said that it goes on', async () => {
    await using it = await startPaused();
    const resumed = Promise.withResolvers<void>();
    it.machine.onResume = () => resumed.promise;
    const requests = [1, 2].map(() => it.execution.acquire(never));
    let given = 0;
    for (const request of requests) void request.then(() => given++);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    expect(given).toBe(0);
    resumed.resolve();
    for (const request of requests) (await request)[Symbol.dispose]();
  });

  test('execution: never pauses the machine of a program that works unasked', async () => {
    const { it, lease } = await startRunning({}, { mayPause: false });
    await using _it = it;
    lease[Symbol.dispose]();
    expect(await it.execution.pause()).toBe(false);
    expect(it.execution.state).toBe('running');
  });

  test('execution: ends a machine that does not go on, and sends who waits for it to another', async () => {
    await using it = await startPaused();
    it.machine.onResume = () => Promise.reject(new Error('QEMU is gone'));
    await expect(it.execution.acquire(never)).rejects.toBeInstanceOf(ExecutionOver);
    expect(it.machine.kills).toBe(1);
    expect(it.execution.state).toBe('ended');
  });

  test('execution: sends who asks to another machine, when a paused one has died', async () => {
    await using it = await startPaused();
    it.machine.end(died());
    expect(it.execution).toMatchObject({ accepting: false, leaving: true });
    await expect(it.execution.acquire(never)).rejects.toBeInstanceOf(ExecutionOver);
    await it.execution.ended;
    expect(await textOf(it.log)).toContain('exit code 1');
  });

  test('execution: halts a paused machine with its grace, when it is told to stop or to retire', async () => {
    for (const end of ['stop', 'retire'] as const) {
      await using it = await startPaused();
      void it.execution[end]('test');
      await it.execution.ended;
      expect(it.machine.halts).toEqual([1000]);
    }
  });

  test('execution: halts a machine that is told to stop while it resumes', async () => {
    await using it = await startPaused();
    it.machine.onResume = () => new Promise(() => {});
    const waiting = it.execution.acquire(never);
    await it.execution.stop('test');
    await expect(waiting).rejects.toBeInstanceOf(ExecutionOver);
    expect(it.machine.halts).toHaveLength(1);
  });

  test('execution: says when its machine could end for another', async () => {
    let idle = 0;
    const { it, lease } = await startRunning({}, { onIdle: () => idle++ });
    await using _it = it;
    expect(idle).toBe(0);
    lease[Symbol.dispose]();
    expect(idle).toBe(1);
  });
});

describe('spares', () => {
  test('execution: waits as a spare until it is asked, takes what it needs then, and goes on', async () => {
    let claims = 0;
    await using it = await startSpare(async () => void claims++);
    expect(it.execution).toMatchObject({ state: 'spare', accepting: true, isAhead: true, served: 0 });
    const requests = [1, 2].map(() => it.execution.acquire(never));
    const leases = await Promise.all(requests);
    const steps = ['claim', 'resume'].map((name) => ({ name, ms: expect.any(Number) }));
    expect(leases.map(({ phases }) => phases)).toEqual([
      { from: 'spare', steps },
      { from: 'spare', steps },
    ]);
    expect(claims).toBe(1);
    expect(it.execution).toMatchObject({ state: 'running', isAhead: false });
    expect(await textOf(it.log)).toContain('Started: claim');
    for (const lease of leases) lease[Symbol.dispose]();
    // From now on it is a machine as any other.
    await it.execution.pause();
    using again = await it.execution.acquire(never);
    expect(again.phases?.from).toBe('paused');
    expect(claims).toBe(1);
  });

  test('execution: tells who asks why a spare may not run, and ends it', async () => {
    const full = new VmletError('NODE_FULL', { operands: { memoryMiB: 1, usedMiB: 1, budgetMiB: 1 } });
    await using it = await startSpare(() => Promise.reject(full));
    await expect(it.execution.acquire(never)).rejects.toBe(full);
    await it.execution.ended;
    expect(it.machine).toMatchObject({ kills: 1, halts: [] });
  });

  test('execution: ends a spare at once and without a word, for nobody has seen it', async () => {
    await using it = await startSpare();
    await it.execution.stop('its memory is needed');
    expect(it.machine).toMatchObject({ kills: 1, halts: [] });
    expect(it.execution.wasStopped).toBe(true);
    expect(await textOf(it.log)).toBe('');
  });

  test('execution: gives up its claim, when it is stopped in the middle of it', async () => {
    const signals: AbortSignal[] = [];
    await using it = await startSpare((signal) => {
      signals.push(signal);
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    const waiting = it.execution.acquire(never);
    await it.execution.stop('test');
    expect(signals[0]?.aborted).toBe(true);
    await expect(waiting).rejects.toBeInstanceOf(ExecutionOver);
  });

  test('execution: is no spare, when its machine does not start', async () => {
    await using it = await startExecution({}, { claim: async () => {} });
    it.fail(new VmletError('CODE_NOT_FOUND', { operands: { ref: 'x' } }));
    expect(await it.execution.readyAhead).toBe(false);
    expect(it.execution.wasStopped).toBe(false);
  });
});
