import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import type { FileHash, ItemHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import { backend, isAlive, LOADED, READY, type Scenario, standInForQemu } from '../machines/testing.ts';
import { Starts } from '../starts/index.ts';
import { createLogger } from '../telemetry/index.ts';
import type { OwnerMeter } from './cpu.ts';
import { Executions } from './executions.ts';
import { installPackages } from './installer.ts';
import { ProgramLogs } from './logs.ts';
import type { ExecutionsConfig, Runnable } from './runnable.ts';
import { noMeter } from './testing.ts';

const never = new AbortController().signal;
const [A, B] = ['a'.repeat(64), 'b'.repeat(64)] as [ItemHash, ItemHash];
const [RUNTIME, CODE] = ['c'.repeat(64), 'd'.repeat(64)] as [FileHash, FileHash];
/** Ends as a guest does when it is told to. */
const HALTS = `${LOADED} await next('halt'); send({ type: 'halted' }); control.end(() => exit(0));`;

/** A real server where the wire leads to, and QEMU itself a script. */
async function standIn(scenario: Scenario, answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const qemu = await standInForQemu(scenario, { port });
  return {
    async [Symbol.asyncDispose]() {
      await qemu[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function startExecutions(
  scenario: Scenario,
  config: Partial<ExecutionsConfig> = {},
  owners: OwnerMeter = noMeter,
) {
  const stack = new AsyncDisposableStack();
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  stack.defer(() => dir.remove());
  stack.use(await standIn(scenario, (_request, response) => response.end('hello')));
  const logs = new ProgramLogs(dir.path);
  const executions = stack.use(
    new Executions({
      starts: new Starts({ backend, log: createLogger('silent') }),
      logs,
      owners,
      config: {
        maxInFlight: 8,
        maxQueued: 8,
        pauseAfterMs: 60_000,
        idleMs: 60_000,
        graceMs: 1000,
        bootDeadlineMs: 20_000,
        loadDeadlineMs: 20_000,
        maxBoots: 2,
        memoryBudgetMiB: 100,
        spareBudgetMiB: 0,
        maxWaiting: 8,
        memoryWaitMs: 60_000,
        ...config,
      },
    }),
  );
  const runnable = (itemHash: ItemHash, memoryMiB: number): Runnable => ({
    itemHash,
    owner: '0x1',
    vcpus: 1,
    memoryMiB,
    prepare: async () => ({
      itemHash,
      memoryMiB,
      runtimeImage: '/runtime',
      codeImage: '/code',
      launch: { kind: 'python', init: 'kit', argv: ['python3'], entrypoint: 'main:app', interface: 'asgi', args: [] },
      variables: {},
      vcpus: 1,
      seconds: 1,
      ...{ runtimeHash: RUNTIME, codeHash: CODE, codeForm: 'zip', snapshot: true, internet: false, guestApi: false },
    }),
  });
  const acquire = (itemHash: ItemHash, memoryMiB = 60) => executions.acquire(runnable(itemHash, memoryMiB), never);
  const restart = (itemHash: ItemHash, memoryMiB = 40) => executions.restart(runnable(itemHash, memoryMiB), never);
  const textOf = async (itemHash: ItemHash) =>
    (await logs.of(itemHash).tail(100)).map((entry) => entry.text).join('\n');
  return { executions, acquire, restart, runnable, textOf, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('executions with machines', () => {
  test('executions: wake a machine, use it, and leave nothing', async () => {
    const it = await startExecutions(HALTS);
    const lease = await it.acquire(A);
    const answer = await lease.client.request({ origin: 'http://x', method: 'GET', path: '/' });
    expect(await answer.body.text()).toBe('hello');
    expect(lease.phases?.steps.map(({ name }) => name)).toEqual(['queue', 'prepare', 'boot', 'load']);
    lease[Symbol.dispose]();
    using hot = await it.acquire(A);
    expect(hot.phases).toBeUndefined();
    const [{ pid = 0 } = {}] = it.executions.list();
    expect(isAlive(pid)).toBe(true);
    await it[Symbol.asyncDispose]();
    expect(isAlive(pid)).toBe(false);
  });

  test('executions: stop an idle machine, when its memory is needed, and wait for it', async () => {
    await using it = await startExecutions(HALTS);
    const first = await it.acquire(A);
    const waiting = it.acquire(B);
    first[Symbol.dispose]();
    const [{ pid = 0 } = {}] = it.executions.list();
    using _second = await waiting;
    expect(isAlive(pid)).toBe(false);
    expect(it.executions.list().map(({ itemHash }) => itemHash)).toEqual([B]);
    expect(await it.textOf(A)).toContain('Stopping: its memory is needed for another program');
  });

  test('executions: restart with a fresh machine, while the old one finishes what it has', async () => {
    await using it = await startExecutions(HALTS);
    const old = await it.acquire(A, 40);
    const [{ pid = 0 } = {}] = it.executions.list();
    const phases = await it.restart(A);
    expect(phases?.from).toBe('boot');
    const [{ pid: fresh = 0 } = {}] = it.executions.list();
    expect([isAlive(pid), isAlive(fresh), fresh === pid]).toEqual([true, true, false]);
    const answer = await old.client.request({ origin: 'http://x', method: 'GET', path: '/' });
    expect(await answer.body.text()).toBe('hello');
    old[Symbol.dispose]();
    using hot = await it.acquire(A);
    expect(hot.phases).toBeUndefined();
    // Its memory is free once it is gone.
    using _other = await it.acquire(B, 60);
    expect(isAlive(pid)).toBe(false);
    expect(await it.textOf(A)).toContain('Stopping: a new machine has taken its place');
  });

  test('executions: go on with the old machine, when the new one does not start', async () => {
    await using it = await startExecutions(HALTS);
    (await it.acquire(A, 40))[Symbol.dispose]();
    const [{ pid } = {}] = it.executions.list();
    const prepare = () => Promise.reject(new VmletError('CODE_NOT_FOUND', { operands: { ref: 'x' } }));
    const restarted = it.executions.restart({ ...it.runnable(A, 40), prepare }, never);
    await expect(restarted).rejects.toMatchObject({ code: 'CODE_NOT_FOUND' });
    using hot = await it.acquire(A);
    expect(hot.phases).toBeUndefined();
    expect(it.executions.list()).toMatchObject([{ pid }]);
  });

  test('executions: leave nothing of a fresh machine, when nobody waits for it any more', async () => {
    await using it = await startExecutions(HALTS);
    (await it.acquire(A, 40))[Symbol.dispose]();
    const [{ pid } = {}] = it.executions.list();
    const client = new AbortController();
    const reached = Promise.withResolvers<void>();
    const given = Promise.withResolvers<never>();
    const prepare = (signal: AbortSignal) => {
      reached.resolve();
      signal.addEventListener('abort', () => given.reject(signal.reason), { once: true });
      return given.promise;
    };
    const restarted = it.executions.restart({ ...it.runnable(A, 40), prepare }, client.signal);
    await reached.promise;
    client.abort(new Error('left'));
    await expect(restarted).rejects.toThrow('left');
    await expect(given.promise).rejects.toThrow();
    expect(it.executions.list()).toMatchObject([{ pid, state: 'running' }]);
    // Its room is free again, and another restart may begin.
    expect((await it.restart(A))?.from).toBe('boot');
  });

  test('executions: restart once at a time, start what sleeps, and give up when all is stopped', async () => {
    await using it = await startExecutions(HALTS);
    expect((await it.restart(A))?.from).toBe('boot');
    const first = it.restart(A);
    await expect(it.restart(A)).rejects.toMatchObject({ code: 'PROGRAM_RESTARTING' });
    await first;
    const waiting = Promise.withResolvers<never>();
    const reached = Promise.withResolvers<void>();
    const prepare = (signal: AbortSignal) => {
      reached.resolve();
      signal.addEventListener('abort', () => waiting.reject(new VmletError('NODE_STOPPING')), { once: true });
      return waiting.promise;
    };
    const given = it.executions.restart({ ...it.runnable(A, 40), prepare }, never);
    await reached.promise;
    // It starts anew, as what waits in line does, and is told why that is refused.
    const refused = expect(given).rejects.toMatchObject({ code: 'NODE_STOPPING' });
    await it.executions.stop(A, 'told to');
    await refused;
    expect(it.executions.list()).toEqual([]);
  });

  test('executions: start anew after a crash, and say it in the log', async () => {
    await using it = await startExecutions(`${LOADED} await next('mark').catch(() => {});`);
    const lease = await it.acquire(A);
    const [{ pid = 0 } = {}] = it.executions.list();
    process.kill(pid, 'SIGKILL');
    expect(await lease.explain(new Error('other side closed'))).toMatchObject({ code: 'MACHINE_DIED' });
    lease[Symbol.dispose]();
    using again = await it.acquire(A);
    expect(again.phases).toBeDefined();
    expect(it.executions.list()[0]?.pid).not.toBe(pid);
    expect(await it.textOf(A)).toContain('ended by SIGKILL');
  });

  test('executions: wait for the memory of a machine that has just died', async () => {
    await using it = await startExecutions(HALTS);
    for (const [one, other] of [
      [A, B],
      [B, A],
      [A, B],
    ] as const) {
      const lease = await it.acquire(one);
      // A connection to close is what its end waits for, with the memory still taken.
      await (await lease.client.request({ origin: 'http://x', method: 'GET', path: '/' })).body.dump();
      const [{ pid = 0 } = {}] = it.executions.list();
      process.kill(pid, 'SIGKILL');
      await lease.explain(new Error('other side closed'));
      lease[Symbol.dispose]();
      const next = await it.acquire(other);
      next[Symbol.dispose]();
      await it.executions.stop(other, 'the test goes on');
    }
  });

  test('executions: stop all machines of a program, one that finishes its last request too', async () => {
    await using it = await startExecutions(HALTS, { memoryBudgetMiB: 200 });
    const slow = await it.acquire(A);
    slow.retire();
    const next = await it.acquire(A);
    const busy = slow.explain(new Error('cut'));
    await it.executions.stop(A, 'its owner has removed it');
    expect(await busy).toMatchObject({ code: 'MACHINE_HALTED' });
    expect((await it.textOf(A)).match(/Stopping: its owner has removed it/g)).toHaveLength(2);
    slow[Symbol.dispose]();
    next[Symbol.dispose]();
  });

  test('executions: keep a program’s output, and why it does not load', async () => {
    await using it = await startExecutions(`${READY} await next('load');
      send({ type: 'log', stream: 'stderr', timeUs: 1000, text: 'last words' });
      send({ type: 'failed', phase: 'load', code: 'IMPORT_FAILED', message: 'no module', detail: 'Traceback' }); await hang();`);
    await expect(it.acquire(A)).rejects.toMatchObject({ code: 'PROGRAM_LOAD_FAILED' });
    expect(await it.textOf(A)).toBe(
      'last words\nCannot load the program: IMPORT_FAILED, expected it to listen\nno module\nTraceback',
    );
  });
});

describe('installPackages', () => {
  const install = async (
    answer: RequestListener,
    more: { deadlineMs?: number; signal?: AbortSignal; authorities?: Buffer } = {},
  ) => {
    await using _machine = await standIn(HALTS, answer);
    return await installPackages({
      installer: 'pip',
      runtimeImage: '/runtime',
      launcherArgv: ['/usr/bin/python3'],
      egress: {},
      variables: { PIP_INDEX_URL: 'x' },
      authorities: more.authorities,
      archive: Readable.from([Buffer.from('zip')]),
      backend,
      bootDeadlineMs: 20_000,
      deadlineMs: more.deadlineMs ?? 20_000,
      onLog: () => {},
      signal: more.signal ?? never,
    });
  };

  test('install: gives the archive that pip made, or pip’s words', async () => {
    const done = await install(async (request, response) => response.end(await buffer(request)));
    expect(done).toEqual({ ok: true, archive: Buffer.from('zip') });
    const failed = await install(async (request, response) => {
      await text(request);
      response.writeHead(422).end('no such package');
    });
    expect(failed).toEqual({ ok: false, output: 'no such package' });
  });

  test('install: hands over the authorities that the host trusts before anything else', async () => {
    const seen: string[] = [];
    const answer: RequestListener = async (request, response) => {
      seen.push(`${request.method} ${await text(request)}`);
      response.end('done');
    };
    const done = await install(answer, { authorities: Buffer.from('PEM') });
    expect(done).toEqual({ ok: true, archive: Buffer.from('done') });
    expect(seen).toEqual(['PUT PEM', 'POST zip']);
  });

  test('install: takes no more than it may of what a guest answers', async () => {
    const endless = await install((request, response) => {
      request.resume();
      response.writeHead(422);
      const chunk = Buffer.alloc(65_536);
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    expect(endless).toMatchObject({ ok: false, output: expect.stringContaining('over 1048576 bytes') });
  });

  test('install: says that pip took too long, that the machine broke off, or why it was given up', async () => {
    expect(await install(() => {}, { deadlineMs: 50 })).toEqual({
      ok: false,
      output: 'pip had not ended after 0.05 s',
    });
    await expect(install((request) => request.socket.destroy())).rejects.toMatchObject({ code: 'ANSWER_BROKEN' });
    const controller = new AbortController();
    const given = install(() => controller.abort(new Error('the client is gone')), { signal: controller.signal });
    await expect(given).rejects.toThrow('the client is gone');
  });
});
