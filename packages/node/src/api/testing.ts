import { on, once } from 'node:events';
import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';
import { WebSocket } from 'ws';
import { type Allowed, createAdmission } from '../admission/index.ts';
import { RuntimeAliases, RuntimeCatalogue } from '../catalogue/index.ts';
import { type ContentStore, openFileStore } from '../content/index.ts';
import { DiskSpace } from '../disk-space.ts';
import { asVmletError } from '../errors.ts';
import { type Ledger, openLedger } from '../ledger/index.ts';
import { openLists } from '../ledger/query/index.ts';
import { type Author, makeAuthor } from '../ledger/testing.ts';
import { LedgerViews, openFacets } from '../ledger/views/index.ts';
import { FILE_GRACE_MS, FilePins } from '../pins/index.ts';
import { pricesFrom } from '../pricing/index.ts';
import { openDatabase } from '../store/index.ts';
import { type Api, createApi } from './api.ts';
import type { ApiComponents } from './components.ts';
import type { ApiLimits } from './limits.ts';
import type { WebSocketLimits } from './websocket/limits.ts';

/** An answer of the API, read to its end. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  // Tests compare it with what they expect, whatever it is.
  json: unknown;
}

/** What a test sends. */
export interface Call {
  headers?: Record<string, string | number>;
  body?: string | Buffer | object;
}

/** A whole API on a Unix socket, with a store, a ledger and an operator. */
export interface ApiFixture extends AsyncDisposable {
  readonly socketPath: string;
  readonly operator: Author;
  readonly content: ContentStore;
  readonly ledger: Ledger;
  readonly database: ReturnType<typeof openDatabase>;
  /** Says to WebSockets that the node goes. */
  leave(): void;
  /** Every route that is served. */
  readonly routes: Api['routes'];
  /** What was reported as a failure of the node. */
  readonly failures: string[];
  call(method: string, path: string, call?: Call): Promise<Answer>;
  /** How many connections are open. */
  openSockets(): Promise<number>;
  /** Every file of the content store, whole or not. */
  files(): Promise<string[]>;
}

export interface ApiFixtureOptions {
  allow?: Allowed;
  limits?: Partial<ApiLimits>;
  /** None, unless given. */
  minFreeDiskBytes?: number;
  webSocketLimits?: Partial<WebSocketLimits>;
  /** What a list would show, newest first; nothing, unless given. */
  recent?: ApiComponents['recent'];
  isDraining?: () => boolean;
  /** Takes everything, unless given. */
  policy?: (parts: { content: ContentStore; ledger: Ledger }) => ApiComponents['policy'];
}

const openPolicy: ApiComponents['policy'] = {
  mayAccept: async () => {},
  mayStore: async () => {},
  mayKeep: () => {},
  mayRead: () => {},
};

/** Starts one. */
export async function startApi(options: ApiFixtureOptions = {}): Promise<ApiFixture> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-api-')), (one) => one.remove());
  const operator = makeAuthor();
  const failures: string[] = [];
  const content = await openFileStore(join(dir.path, 'content'));
  const database = stack.adopt(openDatabase(join(dir.path, 'node.db')), (one) => {
    one.close();
  });
  const onListenerError = (error: unknown) => failures.push(String(error));
  let aliases: RuntimeAliases | undefined;
  const standIn = (ref: string) => aliases?.of(ref) !== undefined;
  const ledger = stack.use(await openLedger({ database, content, onListenerError, standIn }));
  const { address } = operator.signer;
  const onChange = (ref: string, options: { by: ItemHash }) => void ledger.standInChanged(ref, options);
  aliases = stack.use(new RuntimeAliases({ ledger, operator: address, onChange }));
  const runtimes = { catalogue: new RuntimeCatalogue({ ledger, database }), aliases, operator: address };
  const admission = createAdmission({ operatorAddress: operator.signer.address, allow: options.allow ?? 'own' });
  const policy = options.policy?.({ content, ledger }) ?? openPolicy;
  const onFailure = ({ error }: { error: Error }) => failures.push(error.message);
  const limits = options.limits ?? {};
  const disk = new DiskSpace(dir.path, { minFreeBytes: options.minFreeDiskBytes ?? 0 });
  const { webSocketLimits = {}, recent, isDraining = () => false } = options;
  const files = { content, disk, pins: new FilePins(database), fileGraceMs: FILE_GRACE_MS };
  const parts = { ...runtimes, ...files, ledger, admission, policy, isDraining, ...(recent && { recent }) };
  const pricing = {
    prices: () => pricesFrom(ledger.aggregate(operator.signer.address, ['pricing'])[0]?.content),
    isOperatorToken: (token: string) => token === 'by the operator',
  };
  const views = new LedgerViews(database);
  const facets = openFacets(database);
  const metricsSources = [operator.signer.address];
  const lists = openLists(database);
  const reads = { views, facets, lists, metricsSources };
  const bounds = { limits, webSocketLimits };
  const api = stack.use(await createApi({ ...parts, ...pricing, ...reads, ...bounds, version: '1.2.3', onFailure }));
  const socketPath = join(dir.path, 'api.sock');
  const server = createServer(api.handler).listen(socketPath);
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    try {
      api.upgrade(request, socket, head);
    } catch (error) {
      const { entry, code } = asVmletError(error);
      socket.end(`HTTP/1.1 ${entry.status} ${code}\r\n\r\n`);
    }
  });
  await once(server, 'listening');
  stack.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const held = stack.move();
  return {
    socketPath,
    operator,
    content,
    ledger,
    database,
    routes: api.routes,
    leave: () => api.leave(),
    failures,
    call: (method, path, call = {}) => send(socketPath, { method, path, call }),
    openSockets: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
    files: () => filesIn(join(dir.path, 'content')),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

async function send(socketPath: string, { method, path, call }: { method: string; path: string; call: Call }) {
  const { headers = {}, body } = call;
  const isJson = typeof body === 'object' && !Buffer.isBuffer(body);
  const outgoing = request({
    socketPath,
    method,
    path,
    headers: isJson ? { 'content-type': 'application/json', ...headers } : headers,
  });
  // A refused body may still be on its way when the test is over.
  outgoing.on('error', () => {}).end(isJson ? JSON.stringify(body) : body);
  const [response] = await once(outgoing, 'response');
  const bytes = Buffer.concat(await Array.fromAsync<Buffer>(response));
  return { status: response.statusCode, headers: response.headers, body: bytes, json: parsed(bytes) };
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** A client of a WebSocket, as the network's own are. */
export interface Listener extends Disposable {
  readonly client: WebSocket;
  /** The next message that comes, as JSON; fails if the connection ends before. */
  next(): Promise<Record<string, unknown>>;
  /** Settles with the code that the connection ended with. */
  readonly closed: Promise<number>;
}

/** Connects one, and waits until it is open. */
export async function listenTo(url: string): Promise<Listener> {
  const client = new WebSocket(url);
  const messages = on(client, 'message', { close: ['close'] });
  const closed = once(client, 'close').then(([code]: number[]) => code ?? 0);
  await once(client, 'open');
  return {
    client,
    closed,
    async next() {
      const { value, done } = await messages.next();
      if (done) throw new Error(`The connection ended with ${await closed}`);
      return JSON.parse(String(value[0])) as Record<string, unknown>;
    },
    [Symbol.dispose]: () => client.terminate(),
  };
}

/** A part of a multipart body, as a client writes it. */
export interface Part {
  name: string;
  /** Anything beside the name: `; filename="blob"`. */
  disposition?: string;
  type?: string;
  bytes: string | Buffer;
}

/** A multipart body in the form the network's client sends. */
export function multipart(...parts: Part[]): Required<Pick<Call, 'headers'>> & { body: Buffer } {
  const boundary = '----axios-1.7.4-boundary-mkq7xv';
  const chunks: (string | Buffer)[] = [];
  for (const { name, disposition = '', type, bytes } of parts) {
    chunks.push(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"${disposition}\r\n`);
    if (type !== undefined) chunks.push(`Content-Type: ${type}\r\n`);
    chunks.push('\r\n', bytes, '\r\n');
  }
  chunks.push(`--${boundary}--\r\n`);
  const body = Buffer.concat(chunks.map((chunk) => Buffer.from(chunk)));
  return { headers: { 'content-type': `multipart/form-data; boundary=${boundary}` }, body };
}
