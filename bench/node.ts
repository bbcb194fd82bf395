import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { ItemHash } from '@vmlet/messages';
import { loadOrCreateKey } from '@vmlet/node';
import * as z from 'zod';
import { type Publisher, publishPath } from '../tests/framework/publish.ts';
import { officialRuntime, REPOSITORY } from '../tests/framework/runtime.ts';

const startedSchema = z.object({ url: z.string(), ownerSocket: z.string(), backend: z.enum(['kvm', 'tcg']) });

/** A node in a process of its own, as its operator runs it. */
export interface BenchNode extends AsyncDisposable, Publisher {
  backend: 'kvm' | 'tcg';
  runtime: ItemHash;
  /** For commands of its owner. */
  env: NodeJS.ProcessEnv;
  /** Its folder. */
  home: string;
  ownerSocket: string;
  /** Asks its owner socket; GET unless told. @throws OwnerRefused */
  owner<S extends z.ZodType>(path: string, schema: S, method?: 'GET' | 'POST'): Promise<z.output<S>>;
}

/** What the owner's socket answered with a status other than 200. */
export class OwnerRefused extends Error {
  override readonly name = 'OwnerRefused';
  readonly status: number;
  constructor(path: string, status: number, body: string) {
    super(`Cannot ask the node for ${path}: ${status} ${body}`);
    this.status = status;
  }
}

export interface BenchNodeOptions {
  /** The repository whose node it is; this one by default. */
  repository?: string;
  /** Further arguments of `vmlet up`. */
  args?: readonly string[];
}

/** Starts `vmlet up` with a home of its own and publishes the official runtime there. */
export async function startBenchNode({
  repository = REPOSITORY,
  args = [],
}: BenchNodeOptions = {}): Promise<BenchNode> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const config = join(folder, 'config');
  const env = { ...process.env, VMLET_HOME: join(folder, 'home'), VMLET_CONFIG: config };
  const up = ['up', '--json', '--listen', '127.0.0.1:0', ...args];
  const child = spawn(join(repository, 'packages/cli/bin/vmlet'), up, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  stack.defer(() => end(child));
  const { url, ownerSocket, backend } = startedSchema.parse(JSON.parse(await firstLine(child)));
  const { signer } = await loadOrCreateKey(config);
  const official = await officialRuntime();
  const runtime = await publishPath({ url, signer }, official.imagePath, official.manifest);
  const owned = stack.move();
  return {
    url,
    signer,
    backend,
    runtime,
    env,
    home: env.VMLET_HOME,
    ownerSocket,
    owner: async (path, schema, method) => schema.parse(JSON.parse(await ownerText(ownerSocket, path, { method }))),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('Cannot read what the node says: it has no stdout');
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error('Cannot start the node: it ended without a word on stdout');
}

async function ownerText(socketPath: string, path: string, { method = 'GET' }: { method?: string | undefined }) {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request({ socketPath, path, method, agent: false }, resolve).on('error', reject).end();
  const answer = await promise;
  const body = await text(answer);
  if (answer.statusCode !== 200) throw new OwnerRefused(path, answer.statusCode ?? 0, body);
  return body;
}
