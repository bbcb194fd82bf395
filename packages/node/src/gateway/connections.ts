import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIPv6, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { watchIdle } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { GatewayLimits } from './limits.ts';
import { endWithProblem } from './problem.ts';
import { malformed, tooLarge } from './strict.ts';

/** A request and its answer, from the head until the answer's end. */
interface Turn {
  request: IncomingMessage;
  response: ServerResponse;
  /** Called when it is this request's turn, or its connection has ended. */
  begin: () => void;
}

export interface ConnectionsOptions {
  limits: GatewayLimits;
  /** Many clients come by one address, that of the proxy. */
  behindProxy: boolean;
}

/**
 * Bounds on what a client's connections may hold, and answers to what is no request. One request of a connection is
 * worked on at a time: a program gets them in the order they were sent, and a connection holds one place.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  /**
   * Of each open connection, the requests that are not answered. Nothing is put into a collection and taken out again by
   * each request: what such a collection has outgrown keeps garbage alive, and cost a fifth of the gateway's time.
   */
  readonly #turns = new Map<Duplex, Turn[]>();
  readonly #perClient = new Map<string, number>();

  constructor(server: Server, options: ConnectionsOptions) {
    this.#options = options;
    const { limits } = options;
    server.timeout = limits.stallMs;
    server.maxConnections = limits.connections;
    // Node would drop the lines beyond, a Content-Length among them; strict.ts refuses the request.
    server.maxHeadersCount = 0;
    server.on('connection', (socket) => this.#admit(socket));
    server.on('timeout', (socket) => this.#onIdle(socket));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket));
  }

  /**
   * Waits for a request's turn on its connection.
   * @returns false if it never comes: the connection has ended, or has sent too far ahead
   */
  async turn(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const { socket } = request;
    const turns = this.#turnsOf(socket);
    const { promise, resolve } = Promise.withResolvers<void>();
    const own = { request, response, begin: resolve };
    turns.push(own);
    response.once('close', () => {
      turns.splice(turns.indexOf(own), 1);
      turns[0]?.begin();
    });
    if (turns.length > this.#options.limits.pipelined) socket.destroy();
    if (turns[0] !== own) await promise;
    // An answer that closes the connection is the last one, whatever has come behind its request.
    return socket.writable && !response.destroyed;
  }

  /** Whether a connection has nothing to answer before what comes now. */
  isIdle(socket: Duplex): boolean {
    return this.#turnsOf(socket).length === 0;
  }

  /** The answers that are under way, on all connections. */
  underWay(): ServerResponse[] {
    return [...this.#turns.values()].flatMap((turns) => turns.map(({ response }) => response));
  }

  /** Of a connection that has ended, none. */
  #turnsOf(socket: Duplex): Turn[] {
    return this.#turns.get(socket) ?? [];
  }

  #admit(socket: Socket): void {
    this.#turns.set(socket, []);
    socket.once('close', () => {
      for (const turn of this.#turnsOf(socket)) turn.begin();
      this.#turns.delete(socket);
    });
    const { limits, behindProxy } = this.#options;
    if (behindProxy) return;
    const client = clientOf(socket);
    const open = (this.#perClient.get(client) ?? 0) + 1;
    this.#perClient.set(client, open);
    socket.once('close', () => {
      const left = (this.#perClient.get(client) ?? 1) - 1;
      if (left === 0) this.#perClient.delete(client);
      else this.#perClient.set(client, left);
    });
    if (open <= limits.connectionsPerClient) return;
    endWithProblem(socket, new VmletError('TOO_MANY_CONNECTIONS', { operands: { max: limits.connectionsPerClient } }));
  }

  /** Nothing has moved on the connection for a while: whose turn was it? */
  #onIdle(socket: Socket): void {
    const [turn] = this.#turnsOf(socket);
    if (turn === undefined || socket.writableLength > 0) socket.destroy();
    else if (waitsForBody(turn.request)) this.#endLate(socket, turn);
    else watchIdle(socket, this.#options.limits.stallMs);
  }

  #endLate(socket: Socket, { response }: Turn): void {
    const ms = this.#options.limits.stallMs;
    if (response.headersSent) socket.destroy();
    else endWithProblem(socket, new VmletError('REQUEST_TOO_SLOW', { operands: { ms } }));
  }

  /** What came is no request; those before it are answered first, or their answers would be taken for its. */
  #refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    const refusal = refusalFor(error, this.#options.limits);
    if (refusal === undefined || !socket.writable) {
      socket.destroy();
      return;
    }
    const turns = this.#turnsOf(socket);
    const open = turns.filter(({ request }) => request.complete);
    const refuse = () => {
      if (open.some(({ response }) => !response.closed)) return;
      if (turns.some(({ response }) => response.headersSent)) socket.destroy();
      else endWithProblem(socket, refusal);
    };
    for (const { response } of open) response.once('close', refuse);
    if (open.length === 0) refuse();
  }
}

/** Whether somebody reads the body, and nothing comes. */
function waitsForBody(request: IncomingMessage): boolean {
  if (request.complete || request.readableLength > 0) return false;
  return request.readableFlowing === true || (request.readableDidRead && !request.isPaused());
}

/** undefined for a connection that broke, on which nobody reads an answer. */
function refusalFor(error: NodeJS.ErrnoException, limits: GatewayLimits): VmletError | undefined {
  const { code = '' } = error;
  if (code === 'HPE_HEADER_OVERFLOW') return tooLarge(limits);
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new VmletError('REQUEST_TOO_SLOW', { operands: { ms: limits.headMs } });
  }
  if (!code.startsWith('HPE_')) return undefined;
  return malformed(`what the parser calls ${code.slice('HPE_'.length)}`);
}

/** An address; of IPv6 the network that one customer gets, since all of it is theirs to choose from. */
function clientOf({ remoteAddress = '' }: Socket): string {
  if (!isIPv6(remoteAddress) || remoteAddress.includes('.')) return remoteAddress;
  const [head = '', tail = ''] = remoteAddress.split('::');
  const groups = head === '' ? [] : head.split(':');
  const missing = 8 - groups.length - (tail === '' ? 0 : tail.split(':').length);
  return [...groups, ...Array<string>(Math.max(missing, 0)).fill('0')].slice(0, 4).join(':');
}
