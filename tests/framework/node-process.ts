import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { loadOrCreateKey } from '@vmlet/node';
import { assertNothingCaged, homeIdOf } from './leaks.ts';
import type { Publisher } from './publish.ts';
import { REPOSITORY } from './runtime.ts';

/** `vmlet up` in a process of its own, that a test may kill. */
export interface NodeProcess extends Publisher {
  child: ChildProcess;
  homeId: string;
}

/** A home and a key that outlive the nodes started in it. Disposing of it ends them and asserts that no machine is left. */
export interface TestHome extends AsyncDisposable {
  home: string;
  start(): Promise<NodeProcess>;
}

export async function makeTestHome(): Promise<TestHome> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  const home = join(folder, 'home');
  const config = join(folder, 'config');
  const children: ChildProcess[] = [];
  return {
    home,
    start: async () => {
      const env = { ...process.env, VMLET_HOME: home, VMLET_CONFIG: config };
      const main = join(REPOSITORY, 'packages/cli/src/main.ts');
      const child = spawn(process.execPath, [main, 'up', '--json', '--listen', '127.0.0.1:0'], {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      children.push(child);
      const { url } = JSON.parse(await firstLine(child));
      return { child, url, homeId: await homeIdOf(home), signer: (await loadOrCreateKey(config)).signer };
    },
    [Symbol.asyncDispose]: async () => {
      for (const child of children) await end(child);
      const name = `vmlet-${await homeIdOf(home)}`;
      await rm(folder, { recursive: true, force: true });
      await assertNothingCaged(name);
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function firstLine(child: ChildProcess): Promise<string> {
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  if (!child.stdout) throw new Error('Cannot read what the node says: it has no stdout');
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error(`Cannot start the node: ${stderr}`);
}
