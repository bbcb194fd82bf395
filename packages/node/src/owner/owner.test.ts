import { once } from 'node:events';
import { mkdtempDisposable, stat, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ItemHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { BlockList } from '../admission/index.ts';
import { Names, Stops } from '../deployments/index.ts';
import { VmletError } from '../errors.ts';
import { ProgramLogs } from '../executions/index.ts';
import type { ProgramRecord } from '../ledger/index.ts';
import { openDatabase } from '../store/index.ts';
import { createLogger, createNodeMetrics } from '../telemetry/index.ts';
import { Timelines } from '../timelines/index.ts';
import type { OwnerComponents } from './components.ts';
import { serveOwner } from './server.ts';

const PROGRAM = 'c'.repeat(64) as ItemHash;
const ref = (digit: string) => digit.repeat(64) as ItemHash;
const ADDRESS = '0x1' as ProgramRecord['content']['address'];
const record: ProgramRecord = {
  type: 'PROGRAM',
  itemHash: PROGRAM,
  receivedMs: 1,
  envelope: {
    chain: 'ETH',
    sender: ADDRESS,
    type: 'PROGRAM',
    time: 1.5,
    item_type: 'inline',
    item_hash: PROGRAM,
    item_content: '{}',
    signature: '0x',
  },
  content: {
    type: 'vm-function',
    address: ADDRESS,
    time: 1.5,
    allow_amend: false,
    metadata: { name: 'mine' },
    runtime: { ref: ref('d'), use_latest: true, comment: '' },
    code: { ref: ref('e'), entrypoint: 'main:app', encoding: 'zip', use_latest: true },
    environment: { reproducible: false, internet: false, aleph_api: false, shared_cache: false },
    resources: { memory: 256, seconds: 1, vcpus: 1 },
    on: { http: true },
    volumes: [],
  },
};
const status = {
  version: '1',
  url: 'u',
  programDomain: 'd',
  pid: 1,
  operator: 'o',
  backend: 'tcg' as const,
  uptimeSeconds: 1,
  rssMiB: 1,
};

const unexpected = () => {
  throw new TypeError('Cannot run a program: this test asks for none');
};
/** What deployments.test.ts looks at. */
const unasked = { acquire: unexpected, restart: unexpected, stop: unexpected, cool: unexpected };

/** Names and stops of nothing. */
function names() {
  const database = openDatabase(':memory:');
  return { names: new Names(database), stops: new Stops(database) };
}

async function serve(components: Partial<OwnerComponents> = {}) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const path = join(dir.path, 'owner.sock');
  const logs = new ProgramLogs(join(dir.path, 'logs'));
  const metrics = createNodeMetrics();
  const timelines = new Timelines({ metrics, log: createLogger('silent') });
  const server = await serveOwner(path, {
    triggers: { list: () => [], deliveries: () => [], retry: () => {}, retryAll: () => 0 },
    ledger: {
      programs: () => [record],
      program: (hash) => (hash === PROGRAM ? record : undefined),
      store: () => undefined,
    },
    imports: { put: unexpected, check: unexpected, accept: unexpected },
    executions: { list: () => [], ...unasked },
    ...names(),
    findProgram: unasked.acquire,
    collect: unexpected,
    ...{ logs, timelines, metrics },
    snapshotOf: () => undefined,
    startLimits: { accelerator: 'tcg', maxBoots: 2, memoryBudgetMiB: 1024 },
    status: () => status,
    runtimes: () => [],
    urlsOf: () => ({ url: 'url', hostUrl: 'hostUrl' }),
    nameUrlsOf: () => ({ url: 'url', hostUrl: 'hostUrl' }),
    doctor: async () => [],
    blocks: await BlockList.open({ path: join(dir.path, 'block-list') }),
    install: async () => ({ ok: true, archive: Buffer.from('site-packages') }),
    ...components,
  });
  return {
    ...{ path, timelines, metrics },
    log: logs.of(PROGRAM),
    ask: (method: string, target: string, body?: string | AsyncIterable<string>) => ask(path, { method, target, body }),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await logs.flushed();
      await dir.remove();
    },
  };
}

interface Asked {
  method: string;
  target: string;
  body?: string | AsyncIterable<string> | undefined;
}

async function ask(socketPath: string, { method, target, body }: Asked): Promise<IncomingMessage> {
  const headers = body === undefined ? {} : { 'content-type': 'application/zip' };
  const asked = request({ socketPath, method, path: target, headers, agent: false });
  asked.on('error', () => {});
  const answered = once(asked, 'response');
  if (typeof body === 'string' || body === undefined) asked.end(body);
  else for await (const chunk of body) asked.write(chunk);
  const [answer] = (await answered) as [IncomingMessage];
  return answer;
}

const json = async (answer: IncomingMessage) => JSON.parse(await text(answer));

describe('serveOwner', () => {
  test('owner: answers what is asked, on a socket for its user only', async () => {
    await using it = await serve();
    expect((await stat(it.path)).mode & 0o777).toBe(0o600);
    expect(await json(await it.ask('GET', '/status'))).toEqual(status);
    expect(await json(await it.ask('GET', '/runtimes'))).toEqual({ runtimes: [] });
    expect(await json(await it.ask('GET', '/doctor'))).toEqual({ checks: [] });
    const { programs } = await json(await it.ask('GET', '/programs'));
    expect(programs).toMatchObject([
      { itemHash: PROGRAM, name: 'mine', state: 'asleep', inFlight: 0, pid: null, createdMs: 1500, memoryMiB: 256 },
    ]);
  });

  test('owner: takes the place of a killed node’s socket, and removes its own', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    await writeFile(join(dir.path, 'owner.sock'), '');
    const it = await serve();
    await it[Symbol.asyncDispose]();
    await expect(stat(it.path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('owner: says that its home’s path is too long for a socket', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    const failure = serveOwner(join(dir.path, 'x'.repeat(100)), {} as OwnerComponents);
    await expect(failure).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: expect.stringContaining('the kernel takes 107'),
    });
  });

  test('owner: answers faults as problems, with their details', async () => {
    const doctor = async () => {
      throw new VmletError('PROGRAM_LOAD_FAILED', { operands: { code: 'X' }, detail: 'Traceback' });
    };
    await using it = await serve({ doctor });
    const failed = await it.ask('GET', '/doctor');
    expect(failed.statusCode).toBe(502);
    expect(failed.headers['content-type']).toContain('application/problem+json');
    expect(await json(failed)).toMatchObject({ code: 'PROGRAM_LOAD_FAILED', detail: 'Traceback' });
    expect(await json(await it.ask('GET', `/programs/${PROGRAM}/logs?lines=-1`))).toMatchObject({
      code: 'OWNER_REQUEST_MALFORMED',
    });
    expect(await json(await it.ask('GET', '/programs/nothing/logs'))).toMatchObject({ code: 'PROGRAM_NOT_FOUND' });
    expect((await it.ask('GET', '/nothing')).statusCode).toBe(404);
  });
});

describe('logs', () => {
  const linesOf = (answer: string) =>
    answer
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).text);

  test('logs: gives the last lines and ends, also where they are many', async () => {
    await using it = await serve();
    for (let line = 0; line < 1000; line++) {
      it.log.output('stdout', `${line} ${'x'.repeat(7000)}\n`, 0);
      if (line % 100 === 0) await it.log.flushed();
    }
    const all = linesOf(await text(await it.ask('GET', `/programs/${PROGRAM}/logs?lines=100000`)));
    expect(all).toHaveLength(1000);
    expect(linesOf(await text(await it.ask('GET', `/programs/${PROGRAM}/logs?lines=2`)))).toEqual(all.slice(-2));
    expect(linesOf(await text(await it.ask('GET', `/programs/${PROGRAM}/logs?lines=0`)))).toEqual([]);
  });

  test('logs: follows from the last lines on, until the client leaves', async () => {
    await using it = await serve();
    it.log.output('stdout', 'before\n', 0);
    const answer = await it.ask('GET', `/programs/${PROGRAM}/logs?lines=5&follow=1`);
    answer.setEncoding('utf8');
    let got = '';
    for await (const chunk of answer) {
      got += chunk;
      if (linesOf(got).at(-1) === 'before') it.log.output('stdout', 'after\n', 0);
      if (linesOf(got).at(-1) === 'after') break;
    }
    expect(linesOf(got)).toEqual(['before', 'after']);
    answer.destroy();
  });

  test('logs: lets a client go that does not read', async () => {
    await using it = await serve();
    const answer = await it.ask('GET', `/programs/${PROGRAM}/logs?follow=1`);
    answer.on('error', () => {});
    const closed = new Promise((resolve) => void answer.once('close', resolve));
    for (let batch = 0; batch < 60; batch++) {
      for (let line = 0; line < 20; line++) it.log.output('stdout', `${'x'.repeat(8000)}\n`, 0);
      await it.log.flushed();
    }
    answer.resume();
    await closed;
  });
});

describe('install', () => {
  test('install: streams the archive in, and gives what came of it', async () => {
    const asked: { runtime: string; installer: string; archive: string }[] = [];
    const install: OwnerComponents['install'] = async ({ runtime, installer, archive }) => {
      asked.push({ runtime, installer, archive: await text(archive) });
      return asked.length === 1 ? { ok: true, archive: Buffer.from('zip') } : { ok: false, output: 'pip says no' };
    };
    await using it = await serve({ install });
    const done = await it.ask('POST', '/install?runtime=r', 'requirements');
    expect(done).toMatchObject({ statusCode: 200, headers: { 'content-type': 'application/zip' } });
    expect(await text(done)).toBe('zip');
    const failed = await it.ask('POST', '/install?runtime=r&with=npm', 'more');
    expect(failed.statusCode).toBe(422);
    expect(await json(failed)).toMatchObject({ code: 'INSTALL_FAILED', detail: 'pip says no' });
    expect(asked).toEqual([
      { runtime: 'r', installer: 'pip', archive: 'requirements' },
      { runtime: 'r', installer: 'npm', archive: 'more' },
    ]);
    expect(await json(await it.ask('POST', '/install', 'x'))).toMatchObject({ code: 'OWNER_REQUEST_MALFORMED' });
  });

  test('install: is given up, when its client leaves', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    const install: OwnerComponents['install'] = ({ signal }) => {
      started.resolve(signal);
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    await using it = await serve({ install });
    const asked = request({
      socketPath: it.path,
      method: 'POST',
      path: '/install?runtime=r',
      headers: { 'content-type': 'application/zip' },
    });
    asked.on('error', () => {});
    asked.write('some');
    const signal = await started.promise;
    const aborted = once(signal, 'abort');
    asked.destroy();
    await aborted;
  });
});
