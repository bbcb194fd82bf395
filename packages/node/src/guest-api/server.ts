import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type IdleTimer, idleTimer } from '../deadline.ts';
import { toProblem, type VmletError } from '../errors.ts';
import { drain } from './body.ts';
import type { Caller } from './caller.ts';

/** Of a request's head, in bytes. */
const MAX_HEAD_BYTES = 16 * 1024;
/** A connection on which a program asks nothing is closed after this, in milliseconds: it has few of them. */
const KEPT_MS = 60_000;
const RETRY_AFTER_SECONDS = 1;

const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';

/** Answers one call. */
export type Answer = (caller: Caller, request: IncomingMessage, response: ServerResponse) => void;

/** HTTP on the streams of programs that call; it listens nowhere. */
export class CallServer {
  readonly #server: Server;
  readonly #connections = new WeakMap<object, { caller: Caller; idle: IdleTimer }>();

  constructor(answer: Answer) {
    this.#server = createServer(
      { maxHeaderSize: MAX_HEAD_BYTES, requireHostHeader: false, shouldUpgradeCallback: () => false },
      (request, response) => {
        const connection = this.#connections.get(request.socket);
        if (!connection) return void response.destroy();
        connection.idle.disarm();
        response.once('close', () => connection.idle.arm());
        answer(connection.caller, request, response);
      },
    );
    this.#server.on('clientError', (_error, socket) => {
      // One that has ended its side in the middle of a request reads no answer either.
      if (socket.writable && !socket.readableEnded) socket.write(BAD_REQUEST);
      socket.destroy();
    });
    this.#server.on('connect', (_request, socket) => socket.destroy());
  }

  /** Serves a stream that a program has taken. */
  accept(stream: Duplex, caller: Caller): void {
    const idle = idleTimer(KEPT_MS, () => stream.destroy());
    idle.arm();
    this.#connections.set(stream, { caller, idle });
    stream.once('close', () => idle[Symbol.dispose]());
    this.#server.emit('connection', stream);
  }
}

/** Answers with an error of the catalogue, where the answer has not begun; else it is cut. */
export function sendProblem(request: IncomingMessage, response: ServerResponse, error: VmletError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { status, retryable } = error.entry;
  const retryAfter = error.retryAfterSeconds ?? RETRY_AFTER_SECONDS;
  send(
    response,
    { status, type: 'application/problem+json', body: JSON.stringify(toProblem(error)) },
    {
      ...(retryable && (status === 429 || status === 503) ? { 'retry-after': String(retryAfter) } : {}),
    },
  );
  drain(request);
}

/** A whole answer. */
export interface Whole {
  status: number;
  type: string;
  body: string | Buffer;
}

/** Sends a whole answer. */
export function send(
  response: ServerResponse,
  { status, type, body }: Whole,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(body);
}

/** Sends a value as JSON. */
export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  send(response, { status, type: 'application/json', body: JSON.stringify(value) });
}
