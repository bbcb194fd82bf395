import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Envelope, ItemHash } from '@vmlet/messages';
import { Pool } from 'undici';
import { openFileStore } from '../content/index.ts';
import { VmletError } from '../errors.ts';
import { type Lease, ProgramLogs } from '../executions/index.ts';
import { openLedger } from '../ledger/index.ts';
import { type Author, bytesOf, fileHashOf, makeAuthor } from '../ledger/testing.ts';
import { openDatabase } from '../store/index.ts';
import { createLogger, createNodeMetrics } from '../telemetry/index.ts';
import { Timelines } from '../timelines/index.ts';
import type { RetryConfig } from './deliveries.ts';
import type { Listener } from './listeners.ts';
import { Triggers } from './triggers.ts';

/** An item_hash for each number. */
export const hash = (number: number) => number.toString(16).padStart(64, '0') as ItemHash;

/** A program that listens, an original unless told. */
export function listener(itemHash: ItemHash, changes: Partial<Listener> = {}): Listener {
  return { itemHash, original: itemHash, time: 1, seq: 1, on: [], ...changes };
}

const RETRIES: RetryConfig = { maxTries: 3, backOffMs: 1, maxBackOffMs: 4 };

/** A ledger with triggers, and programs that are one HTTP server of the test: each is at a path of its own. */
export interface TestTriggers extends AsyncDisposable {
  readonly author: Author;
  readonly triggers: Triggers;
  /** Of programs by item_hash: why each may not run. */
  readonly refused: Map<ItemHash, VmletError>;
  /** Publishes a program that listens, and gives its item_hash. */
  program(on: readonly Record<string, unknown>[], changes?: object): Promise<ItemHash>;
  /** Publishes a POST in a channel, and gives its item_hash. */
  post(channel: string): Promise<ItemHash>;
  forget(...hashes: ItemHash[]): Promise<void>;
  /** Ends triggers as the end of a node would. */
  close(): Promise<void>;
  /** Makes them anew on the same database. */
  open(): void;
  /** Deliveries that a program has, once all that came is matched. */
  waiting(program: ItemHash): Promise<number>;
}

export async function startTriggers(serve: RequestListener, retries: RetryConfig = RETRIES): Promise<TestTriggers> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const content = await openFileStore(join(dir.path, 'content'));
  const database = stack.adopt(openDatabase(join(dir.path, 'node.db')), (one) => void one.close());
  const onListenerError = (error: unknown) => {
    throw error;
  };
  const ledger = stack.use(await openLedger({ database, content, onListenerError }));
  const server = stack.adopt(createServer(serve).listen(0, '127.0.0.1'), (one) => {
    one.closeAllConnections();
    one.close();
  });
  await once(server, 'listening');
  const pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections: 64 });
  stack.adopt(pool, (one) => one.destroy());
  const refused = new Map<ItemHash, VmletError>();
  const log = createLogger('silent');
  const metrics = createNodeMetrics();
  const logs = new ProgramLogs(join(dir.path, 'logs'));
  const shared = { database, ledger, logs, metrics, log, timelines: new Timelines({ metrics, log }), retries };
  const findProgram = (itemHash: ItemHash) => {
    const refusal = refused.get(itemHash);
    if (refusal) throw refusal;
    const owner = ledger.program(itemHash)?.content.address ?? '';
    const prepare = () => Promise.reject(new TypeError('Cannot prepare: there is no machine'));
    return { itemHash, owner, vcpus: 1, memoryMiB: 1, seconds: 9, onMessagePath: `/${itemHash}`, prepare };
  };
  const open = () => new Triggers({ ...shared, findProgram, executions: { acquire: async () => leaseOf(pool) } });
  let triggers: Triggers | undefined = open();
  const close = async () => {
    await triggers?.[Symbol.asyncDispose]();
    triggers = undefined;
  };
  stack.defer(close);
  const author = makeAuthor();
  const accept = async (message: Envelope) => {
    const { status, reason } = await ledger.accept(message);
    if (status !== 'processed') throw new Error(`Cannot accept: ${status} ${JSON.stringify(reason)}`);
    return message.item_hash;
  };
  await content.put(bytesOf('file'), { maxBytes: 9 });
  const [code, runtime] = [await author.store(fileHashOf('file')), await author.store(fileHashOf('file'))];
  const refs = { code: await accept(code), runtime: await accept(runtime) };
  const owned = stack.move();
  const opened = () => {
    if (!triggers) throw new Error('Cannot ask triggers: they are closed');
    return triggers;
  };
  return {
    author,
    get triggers() {
      return opened();
    },
    refused,
    program: async (on, changes = {}) =>
      await accept(await author.program(refs, { on: { http: true, message: on }, allow_amend: true, ...changes })),
    post: async (channel) => await accept({ ...(await author.post(channel)), channel }),
    forget: async (...hashes) => void (await accept(await author.forget(...hashes))),
    close,
    open: () => {
      triggers = open();
    },
    waiting: async (program) => {
      await opened().matched();
      return opened().deliveries('waiting', { program, limit: 1000 }).length;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function leaseOf(client: Pool): Lease {
  return {
    client,
    connect: () => Promise.reject(new TypeError('Cannot connect: there is no machine')),
    openSession: () => Promise.reject(new TypeError('Cannot open a session: there is no machine')),
    phases: undefined,
    retire: () => {},
    explain: async (cause) => new VmletError('ANSWER_BROKEN', { operands: { found: 'it broke' }, cause }),
    [Symbol.dispose]: () => {},
  };
}
