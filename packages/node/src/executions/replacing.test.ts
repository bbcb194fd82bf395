import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileHash, ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import type { Machine } from '../machines/index.ts';
import { Executions } from './executions.ts';
import { ProgramLogs } from './logs.ts';
import type { Runnable } from './runnable.ts';
import { noMeter, StubMachine } from './testing.ts';

const signal = new AbortController().signal;
const WITHIN = { withinMs: 60_000 };
const A = 'a'.repeat(64) as ItemHash;
const HASH = 'f'.repeat(64) as FileHash;

const program: Runnable = {
  ...{ itemHash: A, owner: '0x1', vcpus: 1, memoryMiB: 10 },
  prepare: async () => ({
    ...{
      itemHash: A,
      memoryMiB: 10,
      runtimeImage: '/runtime',
      codeImage: '/code',
      variables: {},
      vcpus: 1,
      seconds: 1,
    },
    ...{ runtimeHash: HASH, codeHash: HASH, codeForm: 'zip', snapshot: true, internet: false, guestApi: false },
    launch: { kind: 'python', init: 'kit', argv: ['python3'], entrypoint: 'main:app', interface: 'asgi', args: [] },
  }),
};

/** Executions whose machines come up when the test says so, each with one place. */
async function startExecutions() {
  const stack = new AsyncDisposableStack();
  const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const machines: StubMachine[] = [];
  const begun: PromiseWithResolvers<void>[] = [];
  const waiting: (() => void)[] = [];
  const start = async () => {
    const machine = new StubMachine();
    const up = Promise.withResolvers<void>();
    machines.push(machine);
    begun.push(up);
    for (const resolve of waiting.splice(0)) resolve();
    await up.promise;
    // What executions ask of a machine, they ask of this one.
    return {
      machine: machine as Pick<Machine, keyof StubMachine & keyof Machine> as Machine,
      from: 'boot' as const,
      steps: [],
    };
  };
  const executions = stack.use(
    new Executions({
      starts: { start },
      logs: new ProgramLogs(dir.path),
      owners: noMeter,
      config: {
        ...{ maxInFlight: 1, maxQueued: 8, pauseAfterMs: 60_000, idleMs: 60_000, graceMs: 1 },
        ...{ bootDeadlineMs: 60_000, loadDeadlineMs: 60_000, maxBoots: 2, memoryBudgetMiB: 100 },
        ...{ spareBudgetMiB: 0, maxWaiting: 8, memoryWaitMs: 60_000 },
      },
    }),
  );
  /** Waits until so many machines have begun to start. */
  const starting = async (count: number) => {
    while (begun.length < count) await new Promise<void>((resolve) => void waiting.push(resolve));
    const last = begun[count - 1];
    if (!last) throw new Error('Cannot wait for a machine: none has begun');
    return last;
  };
  return { executions, machines, starting, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('executions: a machine that is retired for another program gives places to those who wait, and ends then', async () => {
  await using it = await startExecutions();
  const asked = it.executions.acquire(program, signal);
  (await it.starting(1)).resolve();
  const first = await asked;
  const second = it.executions.acquire(program, signal);
  await it.executions.retire(A, { reason: 'a newer version has taken its place', ...WITHIN });
  expect(it.executions.isServing(A)).toBe(false);
  first[Symbol.dispose]();
  const waited = await second;
  expect(it.machines[0]?.halts).toEqual([]);
  waited[Symbol.dispose]();
  await it.machines[0]?.ended;
  expect(it.machines.length).toBe(1);
});

test('executions: a replaced program has a fresh machine, though one was starting when it was asked for', async () => {
  await using it = await startExecutions();
  const asked = it.executions.acquire(program, signal);
  const first = await it.starting(1);
  const replaced = it.executions.replace(program, { signal, ...WITHIN });
  first.resolve();
  const lease = await asked;
  lease[Symbol.dispose]();
  (await it.starting(2)).resolve();
  await replaced;
  await it.machines[0]?.ended;
  expect([it.machines.length, it.machines[1]?.ending]).toEqual([2, false]);
});

test('executions: a replacement that does not start leaves the machine that serves', async () => {
  await using it = await startExecutions();
  const asked = it.executions.acquire(program, signal);
  (await it.starting(1)).resolve();
  (await asked)[Symbol.dispose]();
  const replaced = it.executions.replace(program, { signal, ...WITHIN });
  (await it.starting(2)).reject(new VmletError('PROGRAM_LOAD_FAILED', { operands: { code: 'X', message: 'it' } }));
  await expect(replaced).rejects.toThrow('Cannot load the program');
  expect([it.executions.isServing(A), it.machines[0]?.ending]).toEqual([true, false]);
});

test('executions: a program without a machine is not started to be replaced', async () => {
  await using it = await startExecutions();
  await it.executions.replace(program, { signal, ...WITHIN });
  expect(it.machines).toEqual([]);
});
