import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@vmlet/host';
import { startGatewayAlone } from './gateway-alone.ts';
import { type ProxyServer, startNginx } from './nginx.ts';
import { cpuSecondsOf } from './processor.ts';
import { startUpstream } from './upstream.ts';

/** Kept connections of the load generator, each with one request under way. */
const CONNECTIONS = 32;
const SAMPLE_SECONDS = 1;
/** Node.js compiles what is called often while it runs; counted in requests, for a busy host takes longer to them. */
const WARM_UP_REQUESTS = 60_000;

/** What one sample found. */
export interface Load {
  requestsPerSecond: number;
  /** Processor time of the proxy for one request, in microseconds. */
  cpuUs: number;
}

/** Proxies to one upstream on this host, by row; each call loads one for a second. */
export interface Throughput extends AsyncDisposable {
  rows: Record<string, () => Promise<Load>>;
}

/**
 * nginx with one worker, one gateway, and a prototype of two gateways at one port, to see whether a second process
 * brings a second core's worth. All are up at the same time; who is not asked does nothing.
 */
export async function prepareThroughput(): Promise<Throughput> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const { port } = stack.use(await startUpstream(folder));
  const proxies: Record<string, ProxyServer> = {
    nginx: stack.use(await startNginx(port, folder)),
    gateway: stack.use(await startGatewayAlone(port)),
    'gateway-2-processes': stack.use(await startGatewayAlone(port, { processes: 2 })),
  };
  for (const { url } of Object.values(proxies)) await warmUp(url);
  const rows = Object.entries(proxies).map(([row, proxy]) => [row, () => load(proxy)] as const);
  const owned = stack.move();
  return { rows: Object.fromEntries(rows), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function warmUp(url: string): Promise<void> {
  for (let sent = 0; sent < WARM_UP_REQUESTS; ) sent += (await wrk(url, SAMPLE_SECONDS)).requests;
}

async function load({ url, pid }: ProxyServer): Promise<Load> {
  const before = cpuSecondsOf(pid);
  const { requests, requestsPerSecond } = await wrk(url, SAMPLE_SECONDS);
  return { requestsPerSecond, cpuUs: ((cpuSecondsOf(pid) - before) / requests) * 1e6 };
}

async function wrk(url: string, seconds: number): Promise<{ requests: number; requestsPerSecond: number }> {
  const printed = await run('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, url]);
  const requests = Number(/(\d+) requests in /.exec(printed)?.[1]);
  const requestsPerSecond = Number(/Requests\/sec: +([\d.]+)/.exec(printed)?.[1]);
  const isFaulty = /Socket errors|Non-2xx/.test(printed) || !(requests > 0) || !(requestsPerSecond > 0);
  if (isFaulty) throw new Error(`Cannot bench ${url}: ${printed}`);
  return { requests, requestsPerSecond };
}
