import { fork } from 'node:child_process';
import cluster from 'node:cluster';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { ItemHash } from '@vmlet/messages';
import { Pool } from 'undici';
import * as z from 'zod';
import { Gateway } from '../../packages/node/src/gateway/index.ts';
import { createLogger, createNodeMetrics } from '../../packages/node/src/telemetry/index.ts';
import { Timelines } from '../../packages/node/src/timelines/index.ts';
import type { ProxyServer } from './nginx.ts';

const PROGRAM = 'd'.repeat(64) as ItemHash;
/** As many as the load generator has; a program's own pool has more. */
const CONNECTIONS = 64;

const startedSchema = z.object({ port: z.number() });

/** Starts a gateway in front of a server at a port of the loopback: what is left to measure is the gateway's own cost. */
export async function startGatewayAlone(upstreamPort: number, { processes = 1 } = {}): Promise<ProxyServer> {
  await using stack = new AsyncDisposableStack();
  const child = fork(import.meta.filename, [String(upstreamPort), String(processes)]);
  const exit = once(child, 'exit');
  stack.defer(async () => {
    if (child.connected) child.disconnect();
    await exit;
  });
  const [message] = await Promise.race([once(child, 'message'), exit.then(() => [undefined])]);
  const { port } = startedSchema.parse(message);
  const owned = stack.move();
  return {
    url: `http://127.0.0.1:${port}/vm/${PROGRAM}/`,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A prototype: processes that take connections of one port in turn, as node:cluster hands them out. */
async function serveByWorkers(upstreamPort: string, processes: number): Promise<void> {
  const gone = once(process, 'disconnect');
  cluster.setupPrimary({ exec: import.meta.filename, args: [upstreamPort] });
  const workers = Array.from({ length: processes }, () => cluster.fork());
  const started = await Promise.all(
    workers.map(async (worker) => startedSchema.parse((await once(worker, 'message'))[0])),
  );
  process.send?.(started[0]);
  await gone;
  // The workers hear of it.
  process.exit();
}

/** In that process: ends when its parent does. */
async function serve(upstreamPort: number): Promise<void> {
  const gone = once(process, 'disconnect');
  const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, {
    connections: CONNECTIONS,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const log = createLogger('silent');
  const metrics = createNodeMetrics();
  const gateway = new Gateway(
    { programDomain: 'vm.localhost', apiHosts: [], trustForwarded: false, drainMs: 1000, limits: {} },
    {
      executions: {
        acquire: async () => ({
          client: pool,
          connect: async () => connect(upstreamPort, '127.0.0.1'),
          openSession: () => Promise.reject(new TypeError('Cannot open a session: there is no machine')),
          phases: undefined,
          retire() {},
          explain: async (error) => Promise.reject(error),
          [Symbol.dispose]() {},
        }),
      },
      findProgram: () => ({
        itemHash: PROGRAM,
        owner: 'bench',
        vcpus: 1,
        memoryMiB: 1,
        seconds: 60,
        prepare: () => Promise.reject(new TypeError('Cannot prepare: there is no machine')),
      }),
      hasName: () => false,
      api: (_request, response) => response.end(),
      upgradeApi: (_request, socket) => void socket.destroy(),
      ...{ log, metrics, timelines: new Timelines({ metrics, log }) },
    },
  );
  const { port } = await gateway.listen('127.0.0.1', 0);
  process.send?.({ port });
  await gone;
  // Nobody waits for an answer any more, and a worker without its parent cannot close what it shares with others.
  process.exit();
}

if (import.meta.main) {
  const [, , upstreamPort = '', processes = '1'] = process.argv;
  if (processes === '1') await serve(Number(upstreamPort));
  else await serveByWorkers(upstreamPort, Number(processes));
}
