import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import type { ItemHash } from '@vmlet/messages';
import { Pool } from 'undici';
import { VmletError } from '../errors.ts';
import type { Lease } from '../executions/index.ts';
import { programLabel } from '../program-label.ts';
import { createLogger, createNodeMetrics, type NodeMetrics } from '../telemetry/index.ts';
import { Timelines } from '../timelines/index.ts';
import { Gateway, type GatewayComponents, type GatewayConfig } from './server.ts';

export const PROGRAM = 'ab'.repeat(32) as ItemHash;
/** How many requests reach the program at once. */
export const TEST_CONNECTIONS = 8;
export const PROGRAM_HOST = `${programLabel(PROGRAM)}.vm.localhost`;

/** A gateway in front of one program, which is an HTTP server of the test. */
export interface TestGateway extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly port: number;
  readonly timelines: Timelines;
  readonly metrics: NodeMetrics;
  /** How many places at the machine were given and given back. */
  readonly leases: { taken: number; given: number; retired: number; explained: unknown[] };
  /** Settles when the last given place is given back. */
  idle(): Promise<void>;
}

export interface TestGatewayOptions {
  seconds?: number;
  config?: Partial<GatewayConfig>;
  phases?: Lease['phases'];
  components?: Partial<GatewayComponents>;
  /** Raw TCP instead of HTTP. */
  tcp?: TcpServer;
}

/** Starts both on ports of their own. */
export async function startGateway(program: RequestListener, options: TestGatewayOptions = {}): Promise<TestGateway> {
  const upstream: Server | TcpServer = options.tcp ?? createServer(program);
  const upstreamPort = await listen(upstream);
  const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, {
    connections: TEST_CONNECTIONS,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const leases = { taken: 0, given: 0, retired: 0, explained: [] as unknown[] };
  const waiting: (() => void)[] = [];
  const log = createLogger('silent');
  const metrics = createNodeMetrics();
  const timelines = new Timelines({ metrics, log });
  const lease = (): Lease => {
    leases.taken++;
    return {
      client: pool,
      connect: async () => connect(upstreamPort, '127.0.0.1'),
      openSession: () => Promise.reject(new TypeError('Cannot open a session: there is no machine')),
      phases: options.phases,
      retire: () => void leases.retired++,
      explain: async (error) => {
        leases.explained.push(error);
        return new VmletError('ANSWER_BROKEN', { operands: { found: 'it broke' }, cause: error });
      },
      [Symbol.dispose]: () => {
        leases.given++;
        if (leases.given === leases.taken) for (const resolve of waiting.splice(0)) resolve();
      },
    };
  };
  const gateway = new Gateway(
    {
      programDomain: 'vm.localhost',
      apiHosts: ['api.example'],
      trustForwarded: false,
      drainMs: 5000,
      ...options.config,
    },
    {
      executions: { acquire: async () => lease() },
      findProgram: (ref) => {
        if (ref !== PROGRAM) throw new VmletError('PROGRAM_NOT_FOUND', { operands: { ref } });
        const prepare = async () => {
          throw new TypeError('Cannot prepare: the program of this test runs already');
        };
        return { itemHash: PROGRAM, owner: '0x1', vcpus: 1, memoryMiB: 1, seconds: options.seconds ?? 30, prepare };
      },
      hasName: () => false,
      api: (_request: IncomingMessage, response: ServerResponse) => response.end('api'),
      upgradeApi: (_request, socket) => void socket.end('HTTP/1.1 101 The API\r\n\r\n'),
      ...{ log, timelines, metrics },
      ...options.components,
    },
  );
  const { port } = await gateway.listen('127.0.0.1', 0);
  return {
    gateway,
    ...{ port, leases, timelines, metrics },
    idle: () =>
      leases.given === leases.taken ? Promise.resolve() : new Promise((resolve) => void waiting.push(resolve)),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await pool.destroy();
      if ('closeAllConnections' in upstream) upstream.closeAllConnections();
      await new Promise((resolve) => upstream.close(resolve));
    },
  };
}

/** A TCP server that answers whatever comes with these bytes, and keeps the connection unless told to end it. */
export function rawServer(answer: string | Buffer, options: { end?: boolean } = {}): TcpServer {
  return createTcpServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', () => (options.end ? socket.end(answer) : socket.write(answer)));
  });
}

/** A client's own connection, byte by byte. */
export class RawClient {
  readonly socket;
  text = '';
  #changed = Promise.withResolvers<void>();

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    const changed = () => {
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    };
    this.socket.setEncoding('latin1').on('data', (chunk: string) => {
      this.text += chunk;
      changed();
    });
    this.socket.on('error', changed).on('close', changed);
  }

  send(...lines: string[]): this {
    this.socket.write(lines.join('\r\n'), 'latin1');
    return this;
  }

  /** Waits until so many answers' heads or these words have come; fails if the connection ends before. */
  async until(words: string | RegExp): Promise<string> {
    for (;;) {
      if (typeof words === 'string' ? this.text.includes(words) : words.test(this.text)) return this.text;
      if (this.socket.destroyed) throw new Error(`The connection ended before ${words}: ${JSON.stringify(this.text)}`);
      await this.#changed.promise;
    }
  }

  /** Waits until the other side has closed. */
  async closed(): Promise<string> {
    if (!this.socket.destroyed) await new Promise((resolve) => void this.socket.once('close', resolve));
    return this.text;
  }
}

async function listen(server: Server | TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
