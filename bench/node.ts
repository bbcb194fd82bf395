import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
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
  owner<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>>;
}

/** Starts `vmlet up` with a home of its own and publishes the official runtime there. */
export async function startBenchNode(): Promise<BenchNode> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const config = join(folder, 'config');
  const env = { ...process.env, VMLET_HOME: join(folder, 'home'), VMLET_CONFIG: config };
  const child = spawn(join(REPOSITORY, 'packages/cli/bin/vmlet'), ['up', '--json', '--listen', '127.0.0.1:0'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
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
    owner: async (path, schema) => schema.parse(JSON.parse(await ownerText(ownerSocket, path))),
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

function ownerText(socketPath: string, path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request({ socketPath, path, agent: false }, (answer) => text(answer).then(resolve, reject))
    .on('error', reject)
    .end();
  return promise;
}
