import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import type { ItemHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { backend, isAlive, LOADED, READY, type Scenario, standInForQemu } from '../machines/testing.ts';
import { Executions, type ExecutionsConfig } from './executions.ts';
import { installRequirements } from './installer.ts';
import { ProgramLogs } from './logs.ts';

const never = new AbortController().signal;
const [A, B] = ['a'.repeat(64), 'b'.repeat(64)] as [ItemHash, ItemHash];
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

async function startExecutions(scenario: Scenario, config: Partial<ExecutionsConfig> = {}) {
  const stack = new AsyncDisposableStack();
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  stack.defer(() => dir.remove());
  stack.use(await standIn(scenario, (_request, response) => response.end('hello')));
  const logs = new ProgramLogs(dir.path);
  const executions = stack.use(
    new Executions({
      backend,
      logs,
      config: {
        maxInFlight: 8,
        maxQueued: 8,
        idleMs: 60_000,
        graceMs: 1000,
        bootDeadlineMs: 20_000,
        loadDeadlineMs: 20_000,
        maxBoots: 2,
        memoryBudgetMiB: 100,
        ...config,
      },
    }),
  );
  const acquire = (itemHash: ItemHash, memoryMiB = 60) =>
    executions.acquire(
      {
        itemHash,
        memoryMiB,
        prepare: async () => ({
          itemHash,
          memoryMiB,
          runtimeImage: '/runtime',
          codeImage: '/code',
          launch: { kind: 'python', argv: ['python3'], entrypoint: 'main:app', interface: 'asgi', args: [] },
          variables: {},
          vcpus: 1,
          seconds: 1,
        }),
      },
      never,
    );
  const textOf = async (itemHash: ItemHash) =>
    (await logs.of(itemHash).tail(100)).map((entry) => entry.text).join('\n');
  return { executions, acquire, textOf, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('executions with machines', () => {
  test('executions: wake a machine, use it, and leave nothing', async () => {
    const it = await startExecutions(HALTS);
    const lease = await it.acquire(A);
    const answer = await lease.client.request({ origin: 'http://x', method: 'GET', path: '/' });
    expect(await answer.body.text()).toBe('hello');
    expect(lease.phases?.bootMs).toBeGreaterThan(0);
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
    await expect(it.acquire(B)).rejects.toMatchObject({ code: 'NODE_FULL' });
    first[Symbol.dispose]();
    const [{ pid = 0 } = {}] = it.executions.list();
    using _second = await it.acquire(B);
    expect(isAlive(pid)).toBe(false);
    expect(it.executions.list().map(({ itemHash }) => itemHash)).toEqual([B]);
    expect(await it.textOf(A)).toContain('Stopping: its memory is needed for another program');
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

describe('installRequirements', () => {
  const install = async (answer: RequestListener, more: { deadlineMs?: number; signal?: AbortSignal } = {}) => {
    await using _machine = await standIn(HALTS, answer);
    return await installRequirements({
      runtimeImage: '/runtime',
      launcherArgv: ['/usr/bin/python3'],
      variables: { PIP_INDEX_URL: 'x' },
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
