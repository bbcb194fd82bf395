import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileHash, ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { backend, CLOCKS, isAlive, LOADED, standInForQemu } from '../machines/testing.ts';
import { Starts } from '../starts/index.ts';
import { createLogger } from '../telemetry/index.ts';
import { Executions } from './executions.ts';
import { ProgramLogs } from './logs.ts';
import type { ExecutionsConfig, Runnable } from './runnable.ts';
import { noMeter } from './testing.ts';

const never = new AbortController().signal;
const hashOf = (name: string) => name.repeat(64).slice(0, 64) as ItemHash;
const [A, B, C, D] = ['a', 'b', 'c', 'd'].map(hashOf) as [ItemHash, ItemHash, ItemHash, ItemHash];
const [RUNTIME, CODE] = ['e', 'f'].map((name) => name.repeat(64)) as [FileHash, FileHash];
/** A guest that sets its clock, and ends when it is told to. */
const GUEST = `${LOADED} ${CLOCKS} await next('halt'); send({ type: 'halted' }); control.end(() => exit(0));`;

/** Executions whose machines are scripts; all of their requests are answered. */
async function startExecutions(config: Partial<ExecutionsConfig> = {}) {
  const stack = new AsyncDisposableStack();
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  stack.defer(() => dir.remove());
  const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  stack.use(await standInForQemu(GUEST, { port: (server.address() as AddressInfo).port }));
  const executions = stack.use(
    new Executions({
      starts: new Starts({ backend, log: createLogger('silent') }),
      logs: new ProgramLogs(dir.path),
      owners: noMeter,
      config: {
        ...{ maxInFlight: 2, maxQueued: 8, pauseAfterMs: 60_000, idleMs: 60_000, graceMs: 1000 },
        ...{ bootDeadlineMs: 60_000, loadDeadlineMs: 60_000, maxBoots: 2, memoryBudgetMiB: 200 },
        ...{ spareBudgetMiB: 0, maxWaiting: 64, memoryWaitMs: 60_000 },
        ...config,
      },
    }),
  );
  const runnable = (itemHash: ItemHash, owner: string, memoryMiB: number): Runnable => ({
    ...{ itemHash, owner, vcpus: 1, memoryMiB },
    prepare: async () => ({
      ...{ itemHash, memoryMiB, runtimeImage: '/runtime', codeImage: '/code', variables: {}, vcpus: 1, seconds: 1 },
      ...{ runtimeHash: RUNTIME, codeHash: CODE, codeForm: 'zip', snapshot: true, internet: false, guestApi: false },
      launch: { kind: 'python', init: 'kit', argv: ['python3'], entrypoint: 'main:app', interface: 'asgi', args: [] },
    }),
  });
  const acquire = (itemHash: ItemHash, { owner = '0x1', memoryMiB = 60 } = {}) =>
    executions.acquire(runnable(itemHash, owner, memoryMiB), never);
  const ask = async (itemHash: ItemHash, options: { owner?: string; memoryMiB?: number } = {}) => {
    using lease = await acquire(itemHash, options);
    const answer = await lease.client.request({ origin: 'http://x', method: 'GET', path: '/' });
    return { status: answer.statusCode, text: await answer.body.text(), phases: lease.phases };
  };
  const cool = (itemHash: ItemHash, to: 'paused' | 'spare' | 'snapshot') =>
    executions.cool(runnable(itemHash, '0x1', 60), { to, signal: never });
  const states = () => Object.fromEntries(executions.list().map(({ itemHash, state }) => [itemHash[0], state]));
  return { executions, acquire, ask, cool, states, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('executions: a program is brought to a temperature by hand, but for one that is being asked', async () => {
  await using it = await startExecutions();
  await it.cool(A, 'paused');
  expect(it.states()).toEqual({ a: 'paused' });
  expect((await it.ask(A)).phases).toMatchObject({ from: 'paused' });
  await it.cool(A, 'spare');
  expect(it.executions.list()).toMatchObject([{ itemHash: A, state: 'spare', served: 0, spares: 1 }]);
  expect(await it.ask(A)).toMatchObject({ text: 'hello', phases: { from: 'spare' } });
  expect(it.executions.list()).toMatchObject([{ itemHash: A, state: 'running', served: 1, spares: 0 }]);
  const busy = await it.acquire(A);
  await expect(it.cool(A, 'snapshot')).rejects.toMatchObject({ code: 'PROGRAM_NOT_COOLED' });
  busy[Symbol.dispose]();
  await it.cool(A, 'snapshot');
  expect(it.states()).toEqual({});
});

test('executions: memory is taken from spares first, then from paused machines, then from idle ones', async () => {
  await using it = await startExecutions({ memoryBudgetMiB: 230 });
  await it.ask(A);
  await it.cool(C, 'spare');
  await it.cool(B, 'paused');
  expect(it.states()).toEqual({ a: 'running', b: 'paused', c: 'spare' });
  await it.ask(D, { memoryMiB: 110 });
  expect(it.states()).toEqual({ a: 'running', b: 'paused', d: 'running' });
  await it.cool(D, 'snapshot');
  await it.ask(C, { memoryMiB: 150 });
  expect(it.states()).toEqual({ a: 'running', c: 'running' });
  await it.ask(D, { memoryMiB: 75 });
  expect(it.states()).toEqual({ c: 'running', d: 'running' });
});

test('executions: of the paused ones the least recently asked goes', async () => {
  await using it = await startExecutions();
  for (const program of [A, B, C]) await it.ask(program);
  await it.ask(A);
  for (const program of [A, B, C]) await it.cool(program, 'paused');
  await it.ask(B);
  await it.cool(B, 'paused');
  await it.ask(D);
  expect(it.states()).toEqual({ b: 'paused', c: 'paused', d: 'running' });
});

test('executions: a spare takes what a machine has no place for', async () => {
  await using it = await startExecutions();
  const made = it.cool(A, 'spare');
  // Asked before there is one, the program gets a machine as ever.
  const leases = await Promise.all([it.acquire(A), it.acquire(A)]);
  await made;
  expect(leases.map(({ phases }) => phases?.from)).toEqual(['boot', 'boot']);
  const third = await it.acquire(A);
  expect(third.phases?.from).toBe('spare');
  const fourth = await it.acquire(A);
  expect(fourth.phases).toBeUndefined();
  expect(it.executions.list()).toMatchObject([{ itemHash: A, inFlight: 2, spares: 0 }]);
  for (const lease of [...leases, third, fourth]) lease[Symbol.dispose]();
  await it.executions.stop(A, 'test');
  expect(it.states()).toEqual({});
});

test('executions: a paused machine or a spare that was killed costs the next request a start, and nothing else', async () => {
  await using it = await startExecutions();
  for (const to of ['paused', 'spare'] as const) {
    await it.cool(A, to);
    const [{ pid = 0 } = {}] = it.executions.list();
    process.kill(pid, 'SIGKILL');
    const { text, phases } = await it.ask(A);
    expect([text, phases?.from]).toEqual(['hello', 'boot']);
    expect(isAlive(pid)).toBe(false);
  }
});

test('executions: a storm of programs is answered whole, with memory for a few and for all owners alike', async () => {
  await using it = await startExecutions({ memoryBudgetMiB: 4 * 60 });
  const programs = Array.from({ length: 24 }, (_, index) => index.toString(16).padStart(64, '0') as ItemHash);
  const order: string[] = [];
  const asked = programs.map(async (program, index) => {
    const owner = index < 20 ? '0x1' : '0x2';
    const answer = await it.ask(program, { owner });
    order.push(owner);
    return answer;
  });
  const answers = await Promise.all(asked);
  expect(answers.map(({ text }) => text)).toEqual(programs.map(() => 'hello'));
  // The owner that came last, with four programs, was not served last.
  expect(order.slice(0, 16)).toContain('0x2');
  expect(order.lastIndexOf('0x2')).toBeLessThan(20);
});
