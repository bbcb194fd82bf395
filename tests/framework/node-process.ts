import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ItemHash } from '@vmlet/messages';
import { loadOrCreateKey } from '@vmlet/node';
import { type StepControl, stepsOf } from './failpoints.ts';
import { assertNothingLeft, homeIdOf } from './leaks.ts';
import { logSays } from './owner-log.ts';
import type { Publisher } from './publish.ts';
import { REPOSITORY } from './runtime.ts';

/** `vmlet up` in a process of its own, that a test may kill. */
export interface NodeProcess extends Publisher {
  child: ChildProcess;
  homeId: string;
  /** Stops it at its steps, where it was started for that; else none is ever reached. */
  steps: StepControl;
  /** Follows a program's log until a line holds the words. */
  logSays(program: ItemHash, words: string): Promise<void>;
  /** A line of its own log that has all these words, as soon as there is one. */
  says(...words: string[]): Promise<string>;
}

export interface StartOptions {
  /** Arguments of `vmlet up` beyond those that are always given. */
  args?: readonly string[];
  /** Whether all its failpoints are armed. */
  stepped?: boolean;
}

/** A home and a key that outlive the nodes started in it. Disposing of it ends them and asserts that nothing is left. */
export interface TestHome extends AsyncDisposable {
  home: string;
  start(options?: StartOptions): Promise<NodeProcess>;
}

export async function makeTestHome(): Promise<TestHome> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  const home = join(folder, 'home');
  const config = join(folder, 'config');
  const children: ChildProcess[] = [];
  return {
    home,
    start: async ({ args = [], stepped = false } = {}) => {
      const env = { ...process.env, VMLET_HOME: home, VMLET_CONFIG: config };
      // What makes snapshots works behind the test's back; those that are about it have it.
      const defaults = args.includes('--snapshot-budget') ? [] : ['--snapshot-budget', '0'];
      const main = join(REPOSITORY, 'packages/cli/src/main.ts');
      const child = spawn(process.execPath, [main, 'up', '--json', '--listen', '127.0.0.1:0', ...defaults, ...args], {
        env: stepped ? { ...env, VMLET_FAILPOINT: 'all=pause' } : env,
        stdio: ['ignore', 'pipe', 'pipe', ...(stepped ? ['ipc' as const] : [])],
      });
      children.push(child);
      const steps = stepsOf(child);
      const own = ownLog(child);
      const { url, ownerSocket } = JSON.parse(await firstLine(child, own));
      const { signer } = await loadOrCreateKey(config);
      const follow = (program: ItemHash, words: string) => logSays(ownerSocket, { program, words });
      return { child, steps, url, signer, homeId: await homeIdOf(home), logSays: follow, says: own.says };
    },
    [Symbol.asyncDispose]: async () => {
      try {
        for (const child of children) await end(child);
        // A home that no node was started in was not made.
        if (await stat(home).catch(() => undefined)) await assertNothingLeft({ home, homeId: await homeIdOf(home) });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

interface OwnLog {
  text(): string;
  says(...words: string[]): Promise<string>;
}

/** What a node writes on stderr, from its start on. */
function ownLog({ stderr }: ChildProcess): OwnLog {
  if (!stderr) throw new Error('Cannot read the log of a node: it has no stderr');
  let text = '';
  stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const says = async (...words: string[]) => {
    for (;;) {
      const lines = text.split('\n').slice(0, -1);
      const found = lines.find((line) => words.every((word) => line.includes(word)));
      if (found !== undefined) return found;
      await once(stderr, 'data');
    }
  };
  return { text: () => text, says };
}

async function firstLine(child: ChildProcess, log: OwnLog): Promise<string> {
  if (!child.stdout) throw new Error('Cannot read what the node says: it has no stdout');
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error(`Cannot start the node: ${log.text()}`);
}
