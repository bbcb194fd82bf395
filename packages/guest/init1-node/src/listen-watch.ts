/** Sees a program's own servers listen, as the event that it is. */
import { type AddressInfo, Server } from 'net';
import { Connections } from './connections.ts';

export interface ListenWatchOptions {
  /** The port that the host reaches. */
  port: number;
  /** The program asks for `port`. Comes before it is bound. */
  onClaim(): void;
  /** A server of the program listens on `port`; the number is the one that it got, should `port` be 0. */
  onListening(port: number): void;
}

/** Takes the place of `listen` for all servers of Node: http, https, http2, net and tls have it from one prototype. */
export class ListenWatch {
  /** Node's own `listen`. */
  readonly listen = Server.prototype.listen;
  /** Servers of the program that were to listen on the port. */
  readonly servers: Connections[] = [];
  private readonly options: ListenWatchOptions;
  private hasToldOfLoopback = false;

  constructor(options: ListenWatchOptions) {
    this.options = options;
    const { listen } = this;
    const claim = (server: Server, values: unknown[]): void => this.claim(server, values);
    Server.prototype.listen = function watched(this: Server, ...values: unknown[]) {
      claim(this, values);
      return Reflect.apply(listen, this, values);
    };
  }

  /** Whether the program listens on the port, or is about to. */
  get isClaimed(): boolean {
    return this.servers.length > 0;
  }

  private claim(server: Server, values: unknown[]): void {
    const { port, host } = askedFor(values);
    if (port === undefined) return;
    if (port !== this.options.port) {
      server.once('listening', () => this.tellOfOther(server));
      return;
    }
    const wide = isLoopback(host) ? this.widened(host) : undefined;
    if (wide !== undefined) replaceHost(values, wide);
    const connections = this.servers.find((each) => each.server === server);
    if (connections === undefined) this.servers.push(new Connections(server));
    this.options.onClaim();
    server.once('listening', () => this.options.onListening((server.address() as AddressInfo).port));
  }

  /**
   * The loopback addresses of a machine are reached by nothing outside it, so all its addresses take their place. Not
   * for a second server: it is `localhost` once more, for IPv6.
   */
  private widened(host: string): string | undefined {
    if (this.isClaimed) return undefined;
    const wide = host === '::1' ? '::' : '0.0.0.0';
    if (!this.hasToldOfLoopback) {
      process.stderr.write(`vmlet: ${host} is reached from inside the machine only: listening on ${wide} instead\n`);
    }
    this.hasToldOfLoopback = true;
    return wide;
  }

  /** The commonest reason why a program is not reached. */
  private tellOfOther(server: Server): void {
    const address = server.address();
    if (this.isClaimed || typeof address !== 'object' || address === null) return;
    const expected = `expected $PORT, which is ${this.options.port}`;
    process.stderr.write(`vmlet: the program listens on port ${address.port}, ${expected}\n`);
  }
}

/** Port and host in the arguments of `listen`; neither for a path, a descriptor or a handle. */
function askedFor(values: readonly unknown[]): { port?: number; host?: unknown } {
  const [first, second] = values;
  if (first === undefined || first === null || typeof first === 'function') return { port: 0 };
  if (typeof first === 'object') {
    const { port, host } = first as { port?: unknown; host?: unknown };
    return port === undefined || port === null || port === '' ? {} : { port: Number(port), host };
  }
  const port = first === '' ? Number.NaN : Number(first);
  return Number.isNaN(port) ? {} : { port, host: second };
}

function isLoopback(host: unknown): host is string {
  return typeof host === 'string' && /^(localhost|127\.\d+\.\d+\.\d+|::1|\[::1\])$/i.test(host);
}

function replaceHost(values: unknown[], host: string): void {
  if (typeof values[0] === 'object') values[0] = { ...values[0], host };
  else values[1] = host;
}
