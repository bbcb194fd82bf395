import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { resolvePaths } from '@vmlet/host';
import type { ItemHash } from '@vmlet/messages';
import { loadOrCreateKey, type NodeOptions, type RunningNode, startNode } from '@vmlet/node';
import { assertNothingLeft, homeIdOf } from './leaks.ts';
import { logSays } from './owner-log.ts';
import { type ProgramOptions, type Publisher, publishFile, publishPath, publishProgram, zipOf } from './publish.ts';
import { officialRuntime } from './runtime.ts';

/** A node with a home, a key and a port of its own. Disposing of it asserts that nothing of it is left. */
export interface TestNode extends AsyncDisposable, Publisher {
  node: RunningNode;
  home: string;
  homeId: string;
  /** item_hash of the official Python runtime, published here. */
  runtime: ItemHash;
  /** Deploys files as a program. */
  deploy(files: Record<string, string>, options?: Partial<ProgramOptions>): Promise<ItemHash>;
  /** Asks a program, by path. */
  ask(program: ItemHash, path?: string, init?: RequestInit): Promise<Response>;
  /** What the owner's socket answers, as JSON. */
  owner<T>(path: string, method?: 'GET' | 'POST'): Promise<T>;
  /** Stops the program's machine, and lets the next request start another. */
  endMachine(program: ItemHash): Promise<void>;
  /** The log of a program, as lines of text. */
  logOf(program: ItemHash): Promise<string>;
  /** Follows a program's log until a line holds the words. */
  logSays(program: ItemHash, words: string): Promise<void>;
}

/** Starts a node for one test file. Options are the node's own. */
export async function startTestNode(options: Partial<NodeOptions> = {}): Promise<TestNode> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const home = join(folder, 'home');
  const config = join(folder, 'config');
  const node = await startNode({
    home,
    config,
    cache: resolvePaths().cache,
    listen: { host: '127.0.0.1', port: 0 },
    allow: 'own',
    logLevel: 'silent',
    // What makes snapshots works behind the test's back; those that are about it have it.
    snapshotBudgetMiB: 0,
    spareBudgetMiB: 0,
    ...options,
  });
  const homeId = await homeIdOf(home);
  stack.defer(() => assertNothingLeft({ homeId, home }));
  stack.use(node);
  const { signer } = await loadOrCreateKey(config);
  const publisher = { url: node.url, signer };
  const official = await officialRuntime();
  const runtime = await publishPath(publisher, official.imagePath, official.manifest);
  const owned = stack.move();
  return {
    ...publisher,
    node,
    home,
    homeId,
    runtime,
    deploy: async (files, program = {}) => {
      const code = await publishFile(publisher, zipOf(files));
      return publishProgram(publisher, { runtime, code, ...program });
    },
    ask: (program, path = '/', init = {}) => fetch(`${node.url}/vm/${program}${path}`, { redirect: 'manual', ...init }),
    owner: async (path, method) => JSON.parse(await ownerText(node.ownerSocket, path, method)),
    endMachine: async (program) => {
      for (const path of ['stop', 'start?wait=false'])
        await ownerText(node.ownerSocket, `/programs/${program}/${path}`, 'POST');
    },
    logOf: async (program) => {
      const lines = (await ownerText(node.ownerSocket, `/programs/${program}/logs?lines=1000`)).split('\n');
      return lines
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line))
        .map((entry: { stream: string; text: string }) => `${entry.stream}: ${entry.text}`)
        .join('\n');
    },
    logSays: (program, words) => logSays(node.ownerSocket, { program, words }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function ownerText(socketPath: string, path: string, method = 'GET'): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request({ socketPath, path, method, agent: false }, (answer) => text(answer).then(resolve, reject))
    .on('error', reject)
    .end();
  return promise;
}
