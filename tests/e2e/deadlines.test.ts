import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { machinesOf } from '../framework/leaks.ts';
import { startTestNode } from '../framework/node.ts';
import { makeTestHome } from '../framework/node-process.ts';
import { REPOSITORY } from '../framework/runtime.ts';

test('deadlines: a machine that does not report in is killed, and the error lists the steps it took', async () => {
  await using node = await startTestNode({ bootDeadlineMs: 300 });
  const program = await node.deploy({ 'main.py': 'app = None\n' });
  const answer = await node.ask(program);
  expect(answer.status).toBe(504);
  expect(await answer.json()).toMatchObject({
    code: 'MACHINE_BOOT_TIMEOUT',
    cause: 'Cannot boot the machine: 300 ms passed with these steps done: none, expected "ready"',
  });
  expect(await machinesOf(node.homeId)).toEqual([]);
});

test('deadlines: without QEMU the node says what to install, and starts nothing', async () => {
  await using folder = await temporaryFolder();
  const { code, stderr } = await up({ ...process.env, PATH: await pathWithout('qemu-system-x86_64', folder.path) });
  expect(code).toBe(8);
  expect(stderr).toContain('apt-get install qemu-system-x86');
});

test('deadlines: a port in use is told, with what to do', async () => {
  await using home = await makeTestHome();
  const { url } = await home.start();
  const { code, stderr } = await up(process.env, new URL(url).host);
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/Cannot listen on "127\.0\.0\.1:\d+": it is in use/);
  expect(stderr).toContain('port 0');
});

/** Runs `vmlet up` with a home of its own until it ends by itself. */
async function up(env: NodeJS.ProcessEnv, listen = '127.0.0.1:0'): Promise<{ code: number; stderr: string }> {
  await using folder = await temporaryFolder();
  const child = spawn(process.execPath, [join(REPOSITORY, 'packages/cli/src/main.ts'), 'up', '--listen', listen], {
    env: { ...env, VMLET_HOME: join(folder.path, 'home'), VMLET_CONFIG: join(folder.path, 'config') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  return { code, stderr };
}

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A PATH of one folder that has all commands but one. */
async function pathWithout(command: string, folder: string): Promise<string> {
  for (const from of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of await readdir(from).catch(() => [])) {
      if (name === command) continue;
      await symlink(join(from, name), join(folder, name)).catch((error: NodeJS.ErrnoException) => {
        // The same name in an earlier folder of the PATH wins.
        if (error.code !== 'EEXIST') throw error;
      });
    }
  }
  return folder;
}
