import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { machinesOf, processesNaming } from '../framework/leaks.ts';
import { makeTestHome, type NodeProcess, type TestHome } from '../framework/node-process.ts';
import { publishFile, publishPath, publishProgram, zipOf } from '../framework/publish.ts';
import { officialRuntime } from '../framework/runtime.ts';

const PROGRAM = `
import asyncio
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/hang":
        await asyncio.Event().wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
`;

let home: TestHome;
let node: NodeProcess;
let program: string;

beforeAll(async () => {
  home = await makeTestHome();
  node = await home.start();
  const { imagePath, manifest } = await officialRuntime();
  const runtime = await publishPath(node, imagePath, manifest);
  const code = await publishFile(node, zipOf({ 'main.py': PROGRAM }));
  program = await publishProgram(node, { runtime, code });
});
afterAll(async () => home[Symbol.asyncDispose]());

const ask = (path = '/') => fetch(`${node.url}/vm/${program}${path}`);

/** Waits for the end of a process that is not this one's child. */
async function gone(pid: number): Promise<void> {
  await once(spawn('tail', ['--pid', String(pid), '-s', '0.05', '-f', '/dev/null']), 'exit');
}

/** The next machine's process, as soon as there is one. */
async function appears(homeId: string): Promise<number> {
  for (;;) {
    const [pid] = await machinesOf(homeId);
    if (pid !== undefined) return pid;
  }
}

/** As soon as the cage of a machine is being made, whether or not its QEMU is there yet. */
async function caged(homeId: string): Promise<void> {
  while ((await processesNaming(`vmlet-${homeId}-`)).length === 0);
}

/** Kills the machine that runs, so that the next request is a cold start. */
async function killRunning(): Promise<void> {
  const [running] = await machinesOf(node.homeId);
  process.kill(running!, 'SIGKILL');
  await gone(running!);
}

test('kill: QEMU killed under a request is 502 for it, and the next request is served by a new machine', async () => {
  expect((await ask()).status).toBe(200);
  const [machine] = await machinesOf(node.homeId);
  const hanging = ask('/hang');
  // The request is with the program once another one behind it on the same loop is answered.
  expect((await ask()).status).toBe(200);
  process.kill(machine!, 'SIGKILL');
  const answer = await hanging;
  expect(answer.status).toBe(502);
  expect(await answer.json()).toMatchObject({ code: 'MACHINE_DIED', phase: 'serve' });
  expect((await ask()).status).toBe(200);
  expect(await machinesOf(node.homeId)).not.toContain(machine);
});

test('kill: QEMU killed while it boots fails the requests in line at once, and the next request is served', async () => {
  await killRunning();
  const waiting = [ask(), ask()];
  process.kill(await appears(node.homeId), 'SIGKILL');
  for (const answer of await Promise.all(waiting)) expect(answer.status).toBe(502);
  expect((await ask()).status).toBe(200);
});

test('kill: a node killed with a machine running leaves no machine, and the next node serves the same program', async () => {
  expect((await ask()).status).toBe(200);
  const [machine] = await machinesOf(node.homeId);
  node.child.kill('SIGKILL');
  await once(node.child, 'exit');
  await gone(machine!);
  node = await home.start();
  const answer = await ask();
  expect(answer.status).toBe(200);
  expect(answer.headers.get('server-timing')).toContain('boot');
});

test('kill: a node killed while a machine boots leaves no machine', async () => {
  await killRunning();
  const asked = ask().catch((error: unknown) => error);
  await caged(node.homeId);
  const started = await processesNaming(`vmlet-${node.homeId}-`);
  node.child.kill('SIGKILL');
  await once(node.child, 'exit');
  expect(await asked).toBeInstanceOf(Error);
  for (const process of started) await gone(process);
  expect(await processesNaming(`vmlet-${node.homeId}-`)).toEqual([]);
  node = await home.start();
});

test('kill: a machine that outlived its node is swept when the next one starts', async () => {
  node.child.kill('SIGTERM');
  await once(node.child, 'exit');
  // As if the kernel had not killed it with its parent.
  const name = `vmlet-${node.homeId}-left`;
  const args = ['-name', name, '-M', 'none', '-S', '-display', 'none'];
  const left = spawn('qemu-system-x86_64', args, { detached: true, stdio: 'ignore' });
  const ended = once(left, 'exit');
  node = await home.start();
  expect(await ended).toEqual([null, 'SIGKILL']);
});

test('kill: SIGTERM lets the request under way be answered, and the node exits with 0', async () => {
  const cold = ask();
  await appears(node.homeId);
  node.child.kill('SIGTERM');
  expect((await cold).status).toBe(200);
  expect(await once(node.child, 'exit')).toEqual([0, null]);
  expect(await machinesOf(node.homeId)).toEqual([]);
});
