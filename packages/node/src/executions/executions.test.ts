import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import { backend } from '../machines/testing.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import { Starts } from '../starts/index.ts';
import { createLogger } from '../telemetry/index.ts';
import type { OwnerMeter } from './cpu.ts';
import { Executions } from './executions.ts';
import { ProgramLogs } from './logs.ts';
import type { ExecutionsConfig } from './runnable.ts';
import { noMeter } from './testing.ts';

const never = new AbortController().signal;
const A = 'a'.repeat(64) as ItemHash;
const B = 'b'.repeat(64) as ItemHash;

/** Executions of programs that are still being prepared: no machine is started. */
async function startExecutions(config: Partial<ExecutionsConfig> = {}, owners: OwnerMeter = noMeter) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const logs = new ProgramLogs(dir.path);
  const executions = new Executions({
    starts: new Starts({ backend, log: createLogger('silent') }),
    logs,
    owners,
    config: {
      maxInFlight: 8,
      maxQueued: 8,
      pauseAfterMs: 60_000,
      idleMs: 60_000,
      graceMs: 1,
      bootDeadlineMs: 1000,
      loadDeadlineMs: 1000,
      maxBoots: 2,
      memoryBudgetMiB: 100,
      spareBudgetMiB: 0,
      maxWaiting: 8,
      memoryWaitMs: 20,
      ...config,
    },
  });
  const preparing = new Map<ItemHash, { times: number; reject: (error: unknown) => void }>();
  const called = { next: Promise.withResolvers<void>() };
  const program = (itemHash: ItemHash, memoryMiB = 10) => ({
    itemHash,
    owner: '0x1',
    vcpus: 1,
    memoryMiB,
    prepare: (signal: AbortSignal) => {
      const { promise, reject } = Promise.withResolvers<RunnableProgram>();
      preparing.set(itemHash, { times: (preparing.get(itemHash)?.times ?? 0) + 1, reject });
      signal.addEventListener('abort', () => reject(signal.reason));
      called.next.resolve();
      called.next = Promise.withResolvers();
      return promise;
    },
  });
  return {
    executions,
    logs,
    program,
    preparing,
    /** Resolves at the next call of `prepare`. */
    prepared: () => called.next.promise,
    async [Symbol.asyncDispose]() {
      await executions[Symbol.asyncDispose]();
      await dir.remove();
    },
  };
}

const failure = () => new VmletError('CODE_NOT_FOUND', { operands: { ref: 'x' } });

test('executions: starts a program once for all that ask, and anew after it has failed', async () => {
  await using it = await startExecutions();
  for (const round of [1, 2]) {
    const prepared = it.prepared();
    const requests = [1, 2, 3].map(() => it.executions.acquire(it.program(A), never));
    await prepared;
    expect(it.executions.list()).toMatchObject([{ itemHash: A, state: 'waking', pid: undefined }]);
    it.preparing.get(A)?.reject(failure());
    for (const request of requests) await expect(request).rejects.toMatchObject({ code: 'CODE_NOT_FOUND' });
    expect(it.preparing.get(A)?.times).toBe(round);
  }
  await it.executions.stop(A, 'test');
  expect(it.executions.list()).toEqual([]);
});

test('executions: starts no more at a time than it may', async () => {
  await using it = await startExecutions({ maxBoots: 1 });
  const prepared = it.prepared();
  const first = it.executions.acquire(it.program(A), never);
  await prepared;
  const second = it.executions.acquire(it.program(B), never);
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  expect([...it.preparing.keys()]).toEqual([A]);
  const next = it.prepared();
  it.preparing.get(A)?.reject(failure());
  await next;
  expect([...it.preparing.keys()]).toEqual([A, B]);
  it.preparing.get(B)?.reject(failure());
  await Promise.allSettled([first, second]);
});

test('executions: gives memory back, when a program does not start, and refuses what has no room', async () => {
  await using it = await startExecutions();
  const prepared = it.prepared();
  const first = it.executions.acquire(it.program(A, 100), never);
  await prepared;
  await expect(it.executions.acquire(it.program(B, 1), never)).rejects.toMatchObject({ code: 'NODE_FULL' });
  it.preparing.get(A)?.reject(failure());
  await expect(first).rejects.toMatchObject({ code: 'CODE_NOT_FOUND' });
  await it.executions.stop(A, 'test');
  const next = it.prepared();
  const second = it.executions.acquire(it.program(B, 100), never);
  await next;
  it.preparing.get(B)?.reject(failure());
  await expect(second).rejects.toMatchObject({ code: 'CODE_NOT_FOUND' });
});

test('executions: starts a stopped program anew for those that waited', async () => {
  await using it = await startExecutions();
  const prepared = it.prepared();
  const request = it.executions.acquire(it.program(A), never);
  await prepared;
  const again = it.prepared();
  await it.executions.stop(A, 'test');
  await again;
  expect(it.preparing.get(A)?.times).toBe(2);
  // It is gone now, and nobody could read its log.
  it.preparing.get(A)?.reject(new VmletError('PROGRAM_NOT_FOUND', { operands: { ref: A } }));
  await expect(request).rejects.toMatchObject({ code: 'PROGRAM_NOT_FOUND' });
  await it.executions.stop(A, 'test');
  expect(await it.logs.of(A).tail(10)).toEqual([]);
});

test('executions: lets go of a client that leaves, and of all when the node stops', async () => {
  const it = await startExecutions();
  const client = new AbortController();
  const prepared = it.prepared();
  const leaving = it.executions.acquire(it.program(A), client.signal);
  const staying = it.executions.acquire(it.program(A), never);
  await prepared;
  client.abort(new Error('left'));
  await expect(leaving).rejects.toThrow('left');
  const stopped = expect(staying).rejects.toMatchObject({ code: 'NODE_STOPPING' });
  await it[Symbol.asyncDispose]();
  await stopped;
  await expect(it.executions.acquire(it.program(B), never)).rejects.toMatchObject({ code: 'NODE_STOPPING' });
  expect(it.executions.list()).toEqual([]);
});

test('executions: runs nothing for an owner that has used up its processors, or has too many machines', async () => {
  const refusal = (code: 'OWNER_CPU_EXCEEDED' | 'OWNER_MACHINES_EXCEEDED') => () => {
    throw new VmletError(code, { operands: { owner: '0x1', used: 2, max: 1 }, retryAfterSeconds: 7 });
  };
  await using used = await startExecutions({}, { ...noMeter, mayUseCpu: refusal('OWNER_CPU_EXCEEDED') });
  await expect(used.executions.acquire(used.program(A), never)).rejects.toMatchObject({
    code: 'OWNER_CPU_EXCEEDED',
    retryAfterSeconds: 7,
  });
  await using many = await startExecutions({}, { ...noMeter, reserve: refusal('OWNER_MACHINES_EXCEEDED') });
  await expect(many.executions.acquire(many.program(A), never)).rejects.toMatchObject({
    code: 'OWNER_MACHINES_EXCEEDED',
  });
  expect(used.preparing.size + many.preparing.size).toBe(0);
});

test('executions: gives the owner’s place back, however the start has ended', async () => {
  const held = { now: 0 };
  const reserve = () => {
    held.now++;
    return { [Symbol.dispose]: () => void held.now-- };
  };
  const charged: number[] = [];
  const charge = (_owner: string, seconds: number) => void charged.push(seconds);
  await using it = await startExecutions({}, { ...noMeter, reserve, charge });
  const prepared = it.prepared();
  const request = it.executions.acquire(it.program(A), never);
  await prepared;
  expect(held.now).toBe(1);
  it.preparing.get(A)?.reject(failure());
  await expect(request).rejects.toMatchObject({ code: 'CODE_NOT_FOUND' });
  await it.executions.stop(A, 'the test is over');
  expect(held.now).toBe(0);
  // Nobody knows what a machine has used that did not start: the time is charged.
  expect(charged).toEqual([expect.any(Number)]);
});

test('executions: give a turn when no start is under way, and take it back for a request, or with its program', async () => {
  await using it = await startExecutions({ memoryWaitMs: 20_000 });
  const starting = it.executions.acquire(it.program(A), never);
  const waiting = it.executions.turn({ itemHash: B, memoryMiB: 60 }, never);
  await it.prepared();
  it.preparing.get(A)?.reject(failure());
  await expect(starting).rejects.toMatchObject({ code: 'CODE_NOT_FOUND' });
  const turn = await waiting;
  expect(turn.signal.aborted).toBe(false);
  // It has no room beside that: the turn is asked back, and the start waits until it is given.
  const prepared = it.prepared();
  const request = it.executions.acquire(it.program(A, 60), never);
  const back = await new Promise((resolve) => turn.signal.addEventListener('abort', () => resolve(turn.signal.reason)));
  expect(back).toBeInstanceOf(Error);
  turn[Symbol.dispose]();
  await prepared;
  it.preparing.get(A)?.reject(failure());
  await expect(request).rejects.toMatchObject({ code: 'CODE_NOT_FOUND' });
  const next = await it.executions.turn({ itemHash: B, memoryMiB: 60 }, never);
  const stopped = it.executions.stop(B, 'its owner has stopped it');
  expect(next.signal.aborted).toBe(true);
  next[Symbol.dispose]();
  await stopped;
  await expect(it.executions.turn({ itemHash: B, memoryMiB: 101 }, never)).rejects.toMatchObject({ code: 'NODE_FULL' });
});
