import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBootKit } from '@vmlet/guest';
import { resolvePaths } from '@vmlet/host';
import type { FileHash, ItemHash } from '@vmlet/messages';
import type { Dispatcher } from 'undici';
import * as z from 'zod';
import { Executions, ProgramLogs } from '../packages/node/src/executions/index.ts';
import { Gateway } from '../packages/node/src/gateway/index.ts';
import { type Cage, openCage } from '../packages/node/src/machines/cage/index.ts';
import { probeAccelerator } from '../packages/node/src/machines/index.ts';
import { CodeImages, launcherArgv } from '../packages/node/src/runtimes/index.ts';
import { Starts } from '../packages/node/src/starts/index.ts';
import { createLogger, createNodeMetrics } from '../packages/node/src/telemetry/index.ts';
import { Timelines } from '../packages/node/src/timelines/index.ts';
import { officialRuntime } from '../tests/framework/runtime.ts';

const PROGRAM = 'd'.repeat(64) as ItemHash;
const NAME_PREFIX = 'vmlet-bench-';
const MEMORY_MIB = 256;

const startedSchema = z.object({ port: z.number(), barePort: z.number() });
const timedSchema = z.object({ ms: z.number() });

/** A Python program in one machine of a process of its own, which can be asked through a gateway and without. */
export interface DirectProgram extends AsyncDisposable {
  gatewayUrl: string;
  /** A server in the same process that answers as the program does, and does nothing else. */
  bareUrl: string;
  /** Path of the program at the gateway. */
  path: string;
  /** Asks the machine itself, over its wire, in that process. In milliseconds. */
  ask(): Promise<number>;
}

/** Starts a machine in a process of its own and loads the program of this zip, which is `main:app`. */
export async function startDirect(zip: Blob): Promise<DirectProgram> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-')));
  await writeFile(join(path, 'code.zip'), Buffer.from(await zip.arrayBuffer()));
  const child = fork(import.meta.filename, [path]);
  const exit = once(child, 'exit');
  stack.defer(async () => {
    if (child.connected) child.disconnect();
    await exit;
  });
  const answer = async () => (await Promise.race([once(child, 'message'), exit.then(() => [undefined])]))[0];
  const { port, barePort } = startedSchema.parse(await answer());
  const owned = stack.move();
  return {
    gatewayUrl: `http://127.0.0.1:${port}`,
    bareUrl: `http://127.0.0.1:${barePort}`,
    path: `/vm/${PROGRAM}/`,
    ask: async () => {
      child.send('ask');
      return timedSchema.parse(await answer()).ms;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** In that process: ends when its parent does. */
async function serve(folder: string): Promise<void> {
  const signal = new AbortController().signal;
  const gone = once(process, 'disconnect');
  const { cache } = resolvePaths();
  await using cage = await openCage({ name: `${NAME_PREFIX}${process.pid}`, homeId: '', cache, signal });
  await using executions = await startExecutions(folder, { cage, signal });
  const program = await programOf(folder);
  const log = createLogger('silent');
  const metrics = createNodeMetrics();
  await using gateway = new Gateway(
    { programDomain: 'vm.localhost', apiHosts: [], trustForwarded: false, drainMs: 1000, limits: {} },
    {
      executions,
      findProgram: () => program,
      hasName: () => false,
      api: (_request, response) => response.end(),
      upgradeApi: (_request, socket) => void socket.destroy(),
      ...{ log, metrics, timelines: new Timelines({ metrics, log }) },
    },
  );
  const { port } = await gateway.listen('127.0.0.1', 0);
  using lease = await executions.acquire(program, signal);
  process.on('message', () => void timed(lease.client).then((ms) => process.send?.({ ms })));
  await using bare = createServer((_request, response) => response.end('hello'));
  bare.listen(0, '127.0.0.1');
  await once(bare, 'listening');
  const address = bare.address();
  process.send?.({ port, barePort: typeof address === 'object' ? address?.port : undefined });
  await gone;
}

async function startExecutions(folder: string, { cage, signal }: { cage: Cage; signal: AbortSignal }) {
  const { cache } = resolvePaths();
  const kit = await ensureBootKit({ cache });
  const probe = await probeAccelerator(kit, { cache, namePrefix: NAME_PREFIX, cage, signal });
  return new Executions({
    starts: new Starts({ backend: { kit, ...probe, namePrefix: NAME_PREFIX, cage }, log: createLogger('silent') }),
    logs: new ProgramLogs(join(folder, 'logs')),
    owners: { reserve: () => ({ [Symbol.dispose]() {} }), mayUseCpu() {}, charge() {} },
    config: {
      maxInFlight: 8,
      maxQueued: 1,
      pauseAfterMs: 2 ** 31 - 1,
      idleMs: 3_600_000,
      graceMs: 1000,
      bootDeadlineMs: 60_000,
      loadDeadlineMs: 60_000,
      maxBoots: 1,
      memoryBudgetMiB: MEMORY_MIB,
      spareBudgetMiB: 0,
      maxWaiting: 0,
      memoryWaitMs: 0,
    },
  });
}

async function programOf(folder: string) {
  const zip = join(folder, 'code.zip');
  const fileHash = createHash('sha256')
    .update(await readFile(zip))
    .digest('hex') as FileHash;
  const codeImage = await new CodeImages(join(folder, 'code')).ensure({ fileHash, encoding: 'zip', path: zip });
  const { imagePath } = await officialRuntime();
  const argv = launcherArgv('python', undefined);
  // Nothing is saved here.
  const hashes = {
    runtimeHash: fileHash,
    codeHash: fileHash,
    codeForm: 'zip',
    snapshot: false,
    internet: false,
    guestApi: false,
  };
  const facts = { itemHash: PROGRAM, memoryMiB: MEMORY_MIB, vcpus: 1, seconds: 60, ...hashes };
  const prepare = async () => ({
    ...facts,
    runtimeImage: imagePath,
    codeImage,
    launch: {
      kind: 'python' as const,
      init: 'kit' as const,
      argv,
      entrypoint: 'main:app',
      interface: 'asgi' as const,
      args: [],
    },
    variables: {},
  });
  return { ...facts, owner: 'bench', prepare };
}

async function timed(client: Dispatcher): Promise<number> {
  const started = performance.now();
  const answer = await client.request({ origin: 'http://program', method: 'GET', path: '/' });
  await answer.body.dump();
  return performance.now() - started;
}

if (import.meta.main) await serve(process.argv[2] ?? '');
