import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { deadline, orAborted, TimeLimits, watchIdle } from '../deadline.ts';
import { asVmletError, VmletError } from '../errors.ts';
import type { Executions, Lease, Runnable } from '../executions/index.ts';
import { programLabel } from '../program-label.ts';
import type { Logger, NodeMetrics } from '../telemetry/index.ts';
import type { Timelines } from '../timelines/index.ts';
import { drain } from './body.ts';
import { Connections } from './connections.ts';
import { defaultGatewayLimits, type GatewayLimits } from './limits.ts';
import { endWithProblem, sendProblem } from './problem.ts';
import { proxy } from './proxy.ts';
import { type Route, type RouteConfig, route } from './route.ts';
import { malformed, refusalOf, refusalOfUpgrade } from './strict.ts';
import { asksForWebSocket, joinWebSocket } from './websocket.ts';

/** What a client may name its request; anything else gets a name of ours. */
const REQUEST_ID = /^[\w.-]{1,64}$/;

export interface GatewayConfig extends Omit<RouteConfig, 'hasName'> {
  /** Believe the forwarding headers of a proxy in front of the node. */
  trustForwarded: boolean;
  /** How long requests under way may take when the gateway is to close, in milliseconds. */
  drainMs: number;
  /** What is left out has the value of `defaultGatewayLimits`. */
  limits?: Partial<GatewayLimits>;
}

/** A program that may be run, and how long one request to it may take. */
export interface ProgramTarget extends Runnable {
  /** In seconds. */
  seconds: number;
  /** False if visitors may not ask it: `on.http`. */
  http?: boolean;
  /** `HASH=TARGET` where it runs on a stand-in for the runtime that its message names. */
  runtimeAlias?: string;
}

export interface GatewayComponents {
  executions: Pick<Executions, 'acquire'>;
  /** Told how programs started, and how long they took to answer. */
  timelines: Pick<Timelines, 'watch' | 'answered'>;
  metrics: Pick<NodeMetrics, 'requests' | 'failures'>;
  /** Whether a label is the name of a program. */
  hasName: RouteConfig['hasName'];
  /** Finds a program by its item_hash or its name. @throws VmletError `PROGRAM_NOT_FOUND`, or why it may not run */
  findProgram: (ref: string) => ProgramTarget;
  /** Answers requests to the API's hosts. */
  api: RequestListener;
  /** Takes a WebSocket's handshake there over, with its connection. @throws VmletError if there is none to be had */
  upgradeApi: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Says to those WebSockets that the node goes: they are cut right after. */
  leaveApi?: () => void;
  log: Logger;
}

/** The public listener: each request goes to a program or to the API, by its host. */
export class Gateway implements AsyncDisposable {
  readonly #server: Server;
  readonly #components: GatewayComponents;
  readonly #config: GatewayConfig & { limits: GatewayLimits };
  readonly #connections: Connections;
  readonly #upgraded = new Set<Duplex>();
  readonly #limits = new TimeLimits();

  constructor(config: GatewayConfig, components: GatewayComponents) {
    const { programDomain, apiHosts } = config;
    const lower = (name: string) => name.toLowerCase();
    const limits = { ...defaultGatewayLimits, ...config.limits };
    this.#config = { ...config, limits, programDomain: lower(programDomain), apiHosts: apiHosts.map(lower) };
    this.#components = components;
    this.#server = createServer(
      // A body may take as long as its program allows; the time for headers stays bounded.
      {
        maxHeaderSize: limits.headBytes,
        headersTimeout: limits.headMs,
        connectionsCheckingInterval: Math.max(1, Math.floor(limits.headMs / 4)),
        requestTimeout: 0,
        // Refused by strict.ts, with a reason.
        requireHostHeader: false,
        keepAliveTimeout: 65_000,
        shouldUpgradeCallback: asksForWebSocket,
      },
      (request, response) => void this.#take(request, response),
    );
    this.#connections = new Connections(this.#server, { limits, behindProxy: config.trustForwarded });
    this.#server.on('checkExpectation', (request, response) => void this.#take(request, response));
    this.#server.on('connect', (request, socket, head) => void this.#upgrade(request, socket, head));
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
  }

  /**
   * Listens; port 0 picks a free one.
   * @throws VmletError `PORT_IN_USE`
   */
  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      const onError = (cause: Error) => reject(listenFailure(cause, host, port));
      this.#server.once('error', onError);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', onError);
        resolve();
      });
    });
    this.#server.on('error', (err) => this.#components.log.error({ err }, 'listener failed'));
    return this.#server.address() as AddressInfo;
  }

  /** Takes no new connection, and returns when the requests under way are answered, or cut after `drainMs`. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    using limit = deadline(this.#config.drainMs);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // A kept connection would hold the server open after its last answer.
    for (const response of this.#connections.underWay()) {
      response.shouldKeepAlive = false;
      // One that had begun has kept its connection.
      response.once('close', () => this.#server.closeIdleConnections());
    }
    this.#server.closeIdleConnections();
    this.#components.leaveApi?.();
    // A WebSocket has no end to wait for; its client connects again.
    for (const socket of this.#upgraded) socket.destroy();
    await orAborted(closed, limit.signal).catch(() => this.#server.closeAllConnections());
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!(await this.#connections.turn(request, response))) return;
    const refusal = refusalOf(request, this.#config.limits);
    if (refusal !== undefined) {
      // What follows on this connection may be meant as a part of it.
      sendProblem(response, refusal, { requestId: requestIdOf(request), close: true });
      drain(request);
      return;
    }
    // The parser has stopped behind an upgrade that we ignore, and has lost what came with it.
    if (request.headers.upgrade !== undefined) response.shouldKeepAlive = false;
    this.#dispatch(request, response);
  }

  #dispatch(request: IncomingMessage, response: ServerResponse): void {
    const to = this.#route(request);
    if (to.kind === 'api') this.#components.api(request, response);
    else void this.#answer(to, request, response);
  }

  #route({ headers, url = '/' }: IncomingMessage): Route {
    const secFetchMode = single(headers['sec-fetch-mode']);
    const { hasName } = this.#components;
    return route({ host: headers.host, url, secFetchMode, accept: headers.accept }, { ...this.#config, hasName });
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const requestId = requestIdOf(request);
    const gone = new AbortController();
    this.#upgraded.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#upgraded.delete(socket);
      gone.abort(new ClientGone());
    });
    const { limits } = this.#config;
    try {
      // Answers before it would be mixed with what it sends.
      if (!this.#connections.isIdle(socket)) throw malformed('an upgrade behind requests that are not answered');
      const refusal = refusalOf(request, limits) ?? refusalOfUpgrade(request);
      if (refusal !== undefined) throw refusal;
      const to = this.#route(request);
      if (to.kind === 'api') {
        // Its own silences are its own business: it asks its clients whether they are still there.
        this.#components.upgradeApi(request, socket, head);
        return;
      }
      // A page is never a WebSocket.
      if (to.kind !== 'program') throw this.#unknownHost(request.headers.host ?? '');
      socket.once('timeout', () => socket.destroy());
      if (socket instanceof Socket) watchIdle(socket, limits.webSocketIdleMs);
      const program = this.#find(to.ref);
      using place = await this.#place(program, gone.signal);
      const { trustForwarded } = this.#config;
      const { host, path } = to;
      const { seconds } = program;
      await joinWebSocket({ request, socket, head, host, path, requestId, seconds, trustForwarded }, place.lease);
    } catch (error) {
      if (error instanceof ClientGone) return;
      const known = asVmletError(error);
      this.#components.metrics.failures.add({ code: known.code });
      endWithProblem(socket, known, requestId);
    }
  }

  async #answer(to: Exclude<Route, { kind: 'api' }>, request: IncomingMessage, response: ServerResponse) {
    const requestId = requestIdOf(request);
    const started = performance.now();
    const gone = new AbortController();
    // Its reason is never shown: there is nobody to show it to.
    response.on('close', () => void (response.writableFinished || gone.abort(new ClientGone())));
    try {
      if (to.kind === 'redirect') this.#redirect(to, request, response);
      else if (to.kind === 'unknown') throw this.#unknownHost(to.host);
      else await this.#toProgram(to, { request, response, requestId, signal: gone.signal });
    } catch (error) {
      if (!(error instanceof ClientGone)) this.#fail(error, response, requestId);
    } finally {
      drain(request);
      const { method } = request;
      const ms = Math.round(performance.now() - started);
      this.#components.log.debug({ requestId, method, to, status: response.statusCode, ms }, 'request');
    }
  }

  async #toProgram(to: Extract<Route, { kind: 'program' }>, exchange: IncomingExchange): Promise<void> {
    const program = this.#find(to.ref);
    using place = await this.#place(program, exchange.signal);
    const { lease, waitedMs } = place;
    const { trustForwarded } = this.#config;
    const { host, path } = to;
    const { timelines, metrics } = this.#components;
    const onFirstByte = (appMs: number) => {
      if (lease.phases) timelines.answered(program.itemHash, lease.phases, { appMs });
    };
    const { seconds, runtimeAlias } = program;
    const told = { host, path, seconds, limits: this.#limits, trustForwarded, waitedMs, onFirstByte, runtimeAlias };
    await proxy({ ...exchange, ...told }, lease);
    metrics.requests.add({ status: `${Math.floor(exchange.response.statusCode / 100)}xx` });
  }

  /** A program for visitors. @throws VmletError `PROGRAM_NOT_HTTP`, or why there is none */
  #find(ref: string): ProgramTarget {
    const program = this.#components.findProgram(ref);
    if (program.http === false) throw new VmletError('PROGRAM_NOT_HTTP', { operands: { itemHash: program.itemHash } });
    return program;
  }

  async #place(program: ProgramTarget, signal: AbortSignal): Promise<Place> {
    const { executions, timelines } = this.#components;
    const { got: lease, waitedMs } = await timelines.watch(program.itemHash, () => executions.acquire(program, signal));
    return { lease, waitedMs, [Symbol.dispose]: () => lease[Symbol.dispose]() };
  }

  /** 307 keeps the method: a form posted to the API's origin still reaches its program. */
  #redirect(to: Extract<Route, { kind: 'redirect' }>, request: IncomingMessage, response: ServerResponse): void {
    // An unknown program has no host to go to.
    const { itemHash } = this.#find(to.ref);
    const label = this.#components.hasName(to.ref) ? to.ref : programLabel(itemHash);
    const host = `${label}.${this.#config.programDomain}`;
    const port = request.socket.localPort === 80 ? '' : `:${request.socket.localPort}`;
    response.writeHead(307, {
      location: `http://${host}${port}${to.path}`,
      vary: 'sec-fetch-mode, accept',
      'content-length': 0,
    });
    response.end();
  }

  #unknownHost(host: string): VmletError {
    return new VmletError('HOST_UNKNOWN', { operands: { host, domain: this.#config.programDomain } });
  }

  #fail(error: unknown, response: ServerResponse, requestId: string): void {
    const known = asVmletError(error);
    this.#components.metrics.failures.add({ code: known.code });
    if (known.entry.fault === 'platform') this.#components.log.warn({ err: known, requestId }, 'request failed');
    sendProblem(response, known, { requestId });
  }
}

interface IncomingExchange {
  request: IncomingMessage;
  response: ServerResponse;
  requestId: string;
  signal: AbortSignal;
}

/** A place at a machine, and how long it was waited for. */
interface Place extends Disposable {
  lease: Lease;
  waitedMs: number;
}

class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

function requestIdOf(request: IncomingMessage): string {
  const given = single(request.headers['x-request-id']);
  return given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function listenFailure(cause: NodeJS.ErrnoException, host: string, port: number): Error {
  const found = cause.code === 'EADDRINUSE' ? 'it is in use' : `${cause.code ?? cause.message}`;
  return new VmletError('PORT_IN_USE', { operands: { address: `${host}:${port}`, found }, cause });
}
