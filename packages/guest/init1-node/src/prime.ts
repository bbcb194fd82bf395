/** Requests that warm up the way from a connection to an answer and back, without a call of the program. */
import { Agent, type IncomingMessage, type RequestListener, request, type ServerResponse } from 'http';
import type { Socket } from 'net';
import type { Connections } from './connections.ts';
import { fetchListener } from './fetch-listener.ts';
import type { Frame } from './frames.ts';
import { handlerListener } from './handler.ts';
import type { WebGlobals, WebHeaders } from './web.ts';

/** Answered by the launcher to itself while it primes, and to the host: for all others it is a path of the program's. */
export const PRIME_PATH = '/.vmlet/prime';
const TOKEN_HEADER = 'x-vmlet-prime';
/** How often each request is sent: what ran once is compiled, what ran some more times is quick. */
const ROUNDS = 8;

/** What Node has it by now, whatever a program puts in its place to watch its own requests. */
const { send, KeptAgent } = { send: request, KeptAgent: Agent };

const ANSWER = 'primed';
const HEADERS = { 'content-type': 'text/plain; charset=utf-8' };

/** What the launcher looks at in a request of the web that it answers itself. */
interface WebRequest {
  readonly url: string;
  readonly headers: WebHeaders;
  text(): Promise<string>;
}

interface Call {
  path: string;
  method: 'GET' | 'POST';
  headers: Record<string, string>;
}

export class Prime {
  private token: string | undefined;
  /** Whoever sends it is the host, which warms a machine up that nobody has asked for yet. */
  private hostToken: string | undefined;

  /** Takes the host's token from a frame of the host's that tells a machine what it is from now on. */
  hear({ prime }: Frame): void {
    this.hostToken = typeof prime === 'string' ? prime : undefined;
  }

  /** Serves with `listener`, but for the launcher's own requests, which `own` answers. */
  guard(listener: RequestListener, own: RequestListener): RequestListener {
    const isOwn = (req: IncomingMessage): boolean => {
      if (req.url !== PRIME_PATH) return false;
      const token = req.headers[TOKEN_HEADER];
      return typeof token === 'string' && (token === this.token || token === this.hostToken);
    };
    return function guarded(this: unknown, req, res) {
      (isOwn(req) ? own : listener).call(this, req, res);
    };
  }

  /**
   * Sends a server whose listener is guarded requests that it answers itself. None of their connections is open when this
   * resolves. Rejects when one of them is answered otherwise.
   */
  async ownPath(port: number, servers: readonly Connections[]): Promise<void> {
    const { randomBytes } = require('crypto') as typeof import('crypto');
    const token = randomBytes(16).toString('hex');
    const headers = { [TOKEN_HEADER]: token, accept: '*/*' };
    this.token = token;
    try {
      await this.run(port, servers, [
        { path: PRIME_PATH, method: 'GET', headers },
        { path: PRIME_PATH, method: 'POST', headers: { ...headers, 'content-type': 'text/plain' } },
      ]);
    } finally {
      this.token = undefined;
    }
  }

  /** Sends requests for a path that the program has named for it, as `ownPath` does. */
  async namedPath(path: string, port: number, servers: readonly Connections[]): Promise<void> {
    await this.run(port, servers, [{ path, method: 'GET', headers: { accept: '*/*' } }]);
  }

  private async run(port: number, servers: readonly Connections[], calls: readonly Call[]): Promise<void> {
    const ports = new Set<number>();
    for (const { server } of servers) server.prependListener('request', withoutDate);
    try {
      // Two connections: one begins while the code for it is there already, as those of visitors will.
      for (let connection = 0; connection < 2; connection += 1) await runOnce(calls, port, ports);
    } finally {
      for (const { server } of servers) server.removeListener('request', withoutDate);
      await Promise.all(servers.map((connections) => connections.closed(ports)));
    }
  }
}

/** What answers the launcher's requests, the way that a program of this kind is served: with `web`, one of `fetch`. */
export function ownListener(web: WebGlobals | undefined): RequestListener {
  if (web !== undefined) {
    return fetchListener(async (request) => {
      const own = request as WebRequest;
      const body = own.headers.get('content-type') === null ? new URL(own.url).pathname : await own.text();
      return new web.Response(body, { headers: HEADERS });
    }, web);
  }
  return handlerListener((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      res.writeHead(200, HEADERS);
      res.end(chunks.length > 0 ? Buffer.concat(chunks) : ANSWER);
    });
  });
}

/** Node keeps the date of an answer for a second of its own time, in which a clone of this process may wake years later. */
function withoutDate(_req: IncomingMessage, res: ServerResponse): void {
  res.sendDate = false;
}

async function runOnce(calls: readonly Call[], port: number, ports: Set<number>): Promise<void> {
  const agent = new KeptAgent({ keepAlive: true, maxSockets: 1 });
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const call of calls) await exchange(call, { port, agent, ports });
    }
  } finally {
    agent.destroy();
  }
}

/** Sends one request and reads its answer. Notes the port that it comes from. */
function exchange(call: Call, via: { port: number; agent: Agent; ports: Set<number> }): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (found: string): void =>
      reject(new Error(`Cannot prime "${call.path}": ${found}, expected an answer of status 200 to 399`));
    const sent = send({ host: '127.0.0.1', port: via.port, agent: via.agent, ...call });
    sent.once('socket', (socket: Socket) => {
      const note = (): void => void (socket.localPort !== undefined && via.ports.add(socket.localPort));
      if (socket.connecting) socket.once('connect', note);
    });
    sent.once('response', (response) => {
      const { statusCode = 0 } = response;
      response.once('aborted', () => refuse('it was cut off'));
      response.once('end', () => (statusCode >= 200 && statusCode < 400 ? resolve() : refuse(`status ${statusCode}`)));
      response.resume();
    });
    sent.once('error', (error) => refuse(error.message));
    sent.end(call.method === 'POST' ? 'text' : undefined);
  });
}
