import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { ItemHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { BlockList } from '../admission/index.ts';
import { Names, Stops } from '../deployments/index.ts';
import { insertProgram } from '../deployments/testing.ts';
import { VmletError } from '../errors.ts';
import { ProgramLogs } from '../executions/index.ts';
import type { ProgramRecord } from '../ledger/index.ts';
import { openDatabase } from '../store/index.ts';
import { createLogger, createNodeMetrics } from '../telemetry/index.ts';
import { Timelines } from '../timelines/index.ts';
import type { OwnerComponents } from './components.ts';
import { serveOwner } from './server.ts';

const hash = (digit: number) => String(digit).padStart(64, '0') as ItemHash;
const [ONE, TWO] = [hash(1), hash(2)];
const PHASES = {
  from: 'boot',
  steps: [
    { name: 'prepare', ms: 1 },
    { name: 'boot', ms: 2 },
    { name: 'load', ms: 3 },
  ],
};
const OWNER = '0x1';

/** The little of a program that these routes look at. */
function recordOf(itemHash: ItemHash): ProgramRecord {
  const content = { address: OWNER, time: 1, runtime: {}, code: {}, resources: {} };
  return { itemHash, content } as unknown as ProgramRecord;
}

const unexpected = () => {
  throw new TypeError('Cannot import: this test imports nothing');
};

/** The owner's socket with two programs, names in a database, and executions that tell what they are asked. */
interface Serving {
  acquire?: OwnerComponents['executions']['acquire'];
  machines?: number;
}

async function serve({ acquire, machines = 0 }: Serving = {}) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const socketPath = join(dir.path, 'owner.sock');
  const database = openDatabase(join(dir.path, 'node.db'));
  const records = new Map([ONE, TWO].map((itemHash) => [itemHash, recordOf(itemHash)]));
  for (const itemHash of records.keys()) insertProgram(database, itemHash, OWNER);
  const stops = new Stops(database);
  const asked: string[] = [];
  // This process stands for a machine.
  const machine = { itemHash: ONE, state: 'running' as const, inFlight: 0, served: 1, startedMs: 1 };
  const running = [{ ...machine, pid: process.pid, touched: false, spares: 0 }].slice(0, machines);
  const metrics = createNodeMetrics();
  const given = async () => ({ phases: PHASES, [Symbol.dispose]: () => void asked.push('given back') });
  const server = await serveOwner(socketPath, {
    ledger: {
      programs: () => [...records.values()],
      program: (itemHash) => records.get(itemHash as ItemHash),
      store: () => undefined,
    },
    imports: { put: unexpected, check: unexpected, accept: unexpected },
    executions: {
      list: () => running,
      acquire: acquire ?? (given as unknown as OwnerComponents['executions']['acquire']),
      restart: async ({ itemHash }) => {
        asked.push(`restart ${Number(itemHash)}`);
        return undefined;
      },
      stop: async (itemHash) => void asked.push(`stop ${Number(itemHash)}, ${stops.has(itemHash)}`),
      cool: async ({ itemHash }, { to }) => void asked.push(`cool ${Number(itemHash)} to ${to}`),
    },
    collect: async () => expect.unreachable(),
    names: new Names(database),
    stops,
    timelines: new Timelines({ metrics, log: createLogger('silent') }),
    snapshotOf: () => undefined,
    startLimits: { accelerator: 'tcg', maxBoots: 2, memoryBudgetMiB: 1024 },
    metrics,
    blocks: await BlockList.open({ path: join(dir.path, 'block-list') }),
    findProgram: (ref) => {
      stops.refuse(ref as ItemHash);
      return {
        itemHash: ref as ItemHash,
        owner: '0x1',
        vcpus: 1,
        memoryMiB: 1,
        prepare: () => Promise.reject(new TypeError('Cannot prepare')),
      };
    },
    logs: new ProgramLogs(join(dir.path, 'logs')),
    triggers: { list: () => [], deliveries: () => [], retry: () => {}, retryAll: () => 0 },
    status: () => ({}) as ReturnType<OwnerComponents['status']>,
    runtimes: () => [],
    urlsOf: () => ({ url: 'url', hostUrl: 'hostUrl' }),
    nameUrlsOf: (name) => ({ url: `u/${name}`, hostUrl: `h/${name}` }),
    doctor: async () => [],
    install: async () => ({ ok: false, output: '' }),
  });
  return {
    asked,
    socketPath,
    async ask(method: string, path: string, body?: object | string) {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const outgoing = request({ socketPath, method, path, headers, agent: false });
      outgoing.end(typeof body === 'string' ? body : JSON.stringify(body));
      const [answer] = await once(outgoing, 'response');
      return { status: answer.statusCode, body: JSON.parse(await text(answer)) };
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      database.close();
      await dir.remove();
    },
  };
}

describe('names', () => {
  test('names: are moved, listed with their programs, led back, renamed and freed', async () => {
    await using it = await serve();
    const first = await it.ask('PUT', '/names/web', { itemHash: ONE });
    const urls = { url: 'u/web', hostUrl: 'h/web' };
    const version = { version: 1, itemHash: ONE, namedMs: expect.any(Number), current: true };
    expect(first).toEqual({
      status: 200,
      body: { name: 'web', address: OWNER, itemHash: ONE, ...urls, versions: [version] },
    });
    await it.ask('PUT', '/names/web', { itemHash: TWO });
    const { body: listed } = await it.ask('GET', '/programs');
    expect(listed.programs.map((program: { names: unknown }) => program.names)).toEqual([
      [{ name: 'web', version: 1, current: false, ...urls }],
      [{ name: 'web', version: 2, current: true, ...urls }],
    ]);
    expect((await it.ask('POST', '/names/web/rollback', {})).body).toMatchObject({ itemHash: ONE });
    expect((await it.ask('POST', '/names/web/rollback', { to: '2' })).body).toMatchObject({ itemHash: TWO });
    expect((await it.ask('POST', '/names/web/rename', { to: 'site' })).body).toMatchObject({ name: 'site' });
    expect((await it.ask('GET', '/names')).body.names).toMatchObject([{ name: 'site', versions: [{}, {}] }]);
    expect((await it.ask('DELETE', '/names/site')).status).toBe(200);
    expect((await it.ask('GET', '/names')).body).toEqual({ names: [] });
  });

  test('names: are told to be free, one’s own, taken or none', async () => {
    await using it = await serve();
    const check = async (name: string, address = OWNER) =>
      (await it.ask('GET', `/names/${name}?address=${address}`)).body;
    expect(await check('web')).toEqual({ record: null });
    await it.ask('PUT', '/names/web', { itemHash: ONE });
    expect(await check('web')).toMatchObject({ record: { itemHash: ONE } });
    expect(await check('web', '0x2')).toMatchObject({ code: 'NAME_TAKEN', status: 409 });
    expect(await check('Web')).toMatchObject({ code: 'NAME_MALFORMED', status: 400 });
  });

  test.each([
    ['PUT', '/names/web', { itemHash: hash(3) }, 'PROGRAM_NOT_FOUND'],
    ['PUT', '/names/web', {}, 'OWNER_REQUEST_MALFORMED'],
    ['PUT', '/names/web', '{', 'OWNER_REQUEST_MALFORMED'],
    ['PUT', '/names/a%2Fb', { itemHash: ONE }, 'NAME_MALFORMED'],
    ['POST', '/names/web/rollback', {}, 'NAME_UNKNOWN'],
    ['POST', '/names/web/rename', { to: 'x' }, 'NAME_UNKNOWN'],
    ['DELETE', '/names/web', undefined, 'NAME_UNKNOWN'],
  ] as const)('names: refuses %s %s with %j as %s', async (method, path, body, code) => {
    await using it = await serve();
    expect((await it.ask(method, path, body)).body).toMatchObject({ code });
  });
});

describe('lifecycle', () => {
  test('programs: are stopped before their machines are, and start again with a machine or without', async () => {
    await using it = await serve();
    const stateOf = async () => (await it.ask('GET', '/programs')).body.programs[0].state;
    expect((await it.ask('POST', `/programs/${ONE}/stop`)).body).toEqual({ itemHash: ONE });
    expect(it.asked).toEqual(['stop 1, true']);
    expect(await stateOf()).toBe('stopped');
    const started = await it.ask('POST', `/programs/${ONE}/start?wait=false`);
    expect(started.body).toEqual({ itemHash: ONE, wasStopped: true, phases: null });
    expect(await stateOf()).toBe('asleep');
    const woken = await it.ask('POST', `/programs/${ONE}/start`);
    expect(woken.body).toEqual({ itemHash: ONE, wasStopped: false, phases: PHASES });
    await it.ask('POST', `/programs/${ONE}/stop`);
    const restarted = await it.ask('POST', `/programs/${ONE}/restart`);
    expect(restarted.body).toEqual({ itemHash: ONE, wasStopped: true, phases: null });
    expect(it.asked.slice(1)).toEqual(['given back', 'stop 1, true', 'restart 1']);
    expect((await it.ask('POST', `/programs/${hash(9)}/stop`)).body).toMatchObject({ code: 'PROGRAM_NOT_FOUND' });
  });

  test('programs: that are gone back to are stopped no more', async () => {
    await using it = await serve();
    for (const itemHash of [ONE, TWO]) await it.ask('PUT', '/names/web', { itemHash });
    await it.ask('POST', `/programs/${ONE}/stop`);
    await it.ask('POST', '/names/web/rollback', {});
    expect((await it.ask('GET', '/programs')).body.programs[0].state).toBe('asleep');
  });

  test('programs: that do not start say why, with their traceback', async () => {
    const acquire = async () => {
      throw new VmletError('PROGRAM_LOAD_FAILED', { operands: { code: 'X' }, detail: 'Traceback' });
    };
    await using it = await serve({ acquire });
    const { status, body } = await it.ask('POST', `/programs/${ONE}/start`);
    expect({ status, body }).toMatchObject({ status: 502, body: { code: 'PROGRAM_LOAD_FAILED', detail: 'Traceback' } });
  });
});

describe('usage', () => {
  test('usage: tells at once and again, with a share of a processor from the second time on', async () => {
    await using it = await serve({ machines: 1 });
    const asked = request({ socketPath: it.socketPath, path: '/usage?everyMs=100', agent: false }).end();
    const [answer] = await once(asked, 'response');
    const looks = [];
    for await (const line of createInterface({ input: answer })) {
      looks.push(JSON.parse(line).machines);
      if (looks.length === 2) break;
    }
    answer.destroy();
    expect(looks[0]).toMatchObject([{ itemHash: ONE, state: 'running', pid: process.pid, cpuPercent: null }]);
    expect(looks[1]).toMatchObject([{ cpuPercent: expect.any(Number), memoryMiB: expect.any(Number) }]);
  });

  test('usage: is not told more often than ten times a second', async () => {
    await using it = await serve();
    expect((await it.ask('GET', '/usage?everyMs=1')).body).toMatchObject({ code: 'OWNER_REQUEST_MALFORMED' });
  });
});
