import { mkdtempDisposable } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair, Readable } from 'node:stream';
import type { ItemHash } from '@vmlet/messages';
import { type Dispatcher, Pool } from 'undici';
import { openDatabase } from '../store/index.ts';
import { ProgramCache } from './cache.ts';
import { GuestApi, type GuestApiComponents } from './guest-api.ts';
import { Identities } from './identities.ts';

/** What a call was answered. */
export interface Called {
  status: number;
  headers: IncomingHttpHeaders;
  bytes: Buffer;
  text: string;
  /** Undefined where it is no JSON. */
  json: unknown;
}

/** A call of a program. */
export interface CallOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer | object;
  /** Without saying how long the body is. */
  chunked?: boolean;
}

export interface TestOptions {
  /** Of the cache. */
  now?: () => number;
  /** Of what programs may call. */
  nowMs?: () => number;
}

export const PROGRAM = 'a'.repeat(64) as ItemHash;
export const OTHER = 'b'.repeat(64) as ItemHash;
export const OWNER = '0xB68B9D4f3771c246233823ed1D3Add451055F9Ef';

/** A guest API with programs and a home of its own; what it passes on to the network API is noted, and answered "{}". */
export async function startGuestApi({ now = Date.now, nowMs = () => performance.now() }: TestOptions = {}) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const database = stack.adopt(openDatabase(join(folder.path, 'node.db')), (one) => void one.close());
  const keys = join(folder.path, 'keys');
  const identities = new Identities({ database, dir: keys });
  const cache = stack.use(new ProgramCache({ path: join(folder.path, 'program-cache.db'), now }));
  const programs = new Set([PROGRAM, OTHER]);
  const failures: Parameters<GuestApiComponents['onFailure']>[0][] = [];
  const ownerOf = (itemHash: ItemHash) => {
    if (!programs.has(itemHash)) throw new Error('no such program');
    return OWNER;
  };
  const api = new GuestApi({ identities, cache, ownerOf, nowMs, onFailure: (failure) => failures.push(failure) });
  const passed: { method?: string | undefined; url?: string | undefined; headers: object; payload?: string }[] = [];
  api.connect({
    handler(incoming, response) {
      passed.push({ method: incoming.method, url: incoming.url, headers: incoming.headers });
      incoming.resume();
      response.setHeader('content-type', 'application/json').end('{}');
    },
    async ask({ payload, ...rest }) {
      passed.push({ ...rest, payload });
      return { statusCode: 202, headers: { 'content-type': 'application/json' }, body: '{"message_status":"pending"}' };
    },
  });
  /** A stream to the host, as a machine of the program has it. */
  const open = async (program = PROGRAM): Promise<Duplex> => {
    const host = await api.hostOf({ itemHash: program, guestApi: true });
    const [guest, side] = duplexPair();
    host?.onCall(side);
    return guest;
  };
  const pools = new Map<ItemHash, Pool>();
  const poolOf = (program: ItemHash) => {
    const pool = pools.get(program) ?? poolOn(() => open(program));
    pools.set(program, pool);
    return pool;
  };
  stack.defer(async () => {
    for (const pool of pools.values()) await pool.destroy();
  });
  const owned = stack.move();
  return {
    ...{ api, cache, database, identities, keys, programs, failures, passed, open },
    call: (path: string, options: CallOptions = {}, program = PROGRAM) => call(poolOf(program), path, options),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Connections that are streams which somebody opens. */
function poolOn(open: () => Promise<Duplex>): Pool {
  return new Pool('http://localhost', {
    connections: 1,
    pipelining: 1,
    connect: (_origin, callback) => {
      // undici takes any duplex stream; its types know sockets only.
      const done = callback as (...result: [null, Duplex] | [Error, null]) => void;
      open().then(
        (stream) => done(null, stream),
        (error: Error) => done(error, null),
      );
    },
  });
}

async function call(pool: Dispatcher, path: string, options: CallOptions): Promise<Called> {
  const { method = 'GET', headers = {}, body, chunked = false } = options;
  const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const sent = chunked && bytes !== undefined ? Readable.from([bytes]) : (bytes ?? null);
  const answer = await pool.request({ path, method: method as Dispatcher.HttpMethod, headers, body: sent });
  const all = Buffer.from(await answer.body.arrayBuffer());
  const text = all.toString('utf8');
  return { status: answer.statusCode, headers: answer.headers, bytes: all, text, json: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
