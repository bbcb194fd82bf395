import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, open, readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ItemHash } from '@vmlet/messages';
import { Client } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { machinesOf, openFilesOf, processesNaming, tracesOf, unfinishedIn } from '../framework/leaks.ts';
import { makeTestHome, type NodeProcess, type TestHome } from '../framework/node-process.ts';
import { publishFile, publishPath, publishProgram, zipOf } from '../framework/publish.ts';
import { officialRuntime } from '../framework/runtime.ts';
import { RESTORING, SAVING } from './snapshot-steps.ts';
import { ask, gone } from './victim.ts';

const PROGRAM = `
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
`;
const MEMORY_MIB = 128;
/** A spare would be restored behind the test's back. */
const START = { stepped: true, args: ['--snapshot-budget', '4096', '--spare-budget', '0'] };
const SAVED = 'Saved for quick starts';
const NOT_SAVED = 'Not saved for quick starts';
const OK = { status: 200, body: 'ok' };
const MIB = 1024 * 1024;
/** Several machines are saved, one after the other. */
const LONG_MS = 300_000;

let home: TestHome;
let node: NodeProcess;
let runtime: ItemHash;

beforeAll(async () => {
  home = await makeTestHome();
  node = await home.start(START);
  const { imagePath, manifest } = await officialRuntime();
  runtime = await publishPath(node, imagePath, manifest);
  // The runtime's own is there from now on.
  await node.logSays(await deploy(), SAVED);
});
afterAll(async () => home[Symbol.asyncDispose]());

const folder = () => join(home.home, 'snapshots');
const request = (program: ItemHash) => ask(`${node.url}/vm/${program}/`);

/** Halts the machine that serves a program, and none that is being saved. */
async function halt(program: ItemHash): Promise<void> {
  const owner = new Client('http://owner', { socketPath: join(home.home, 'owner.sock') });
  try {
    const { statusCode, body } = await owner.request({ method: 'POST', path: `/programs/${program}/cool?to=snapshot` });
    expect([statusCode, await body.text()]).toEqual([200, expect.any(String)]);
  } finally {
    await owner.close();
  }
}

async function deploy(): Promise<ItemHash> {
  const code = await publishFile(node, zipOf({ 'main.py': `${PROGRAM}# ${randomUUID()}\n` }));
  return publishProgram(node, { runtime, code, memoryMiB: MEMORY_MIB });
}

/** The node and all that it has started are gone; the next one sweeps what they could not. */
async function killNode(): Promise<void> {
  const machines = await processesNaming(`vmlet-${node.homeId}-`);
  node.child.kill('SIGKILL');
  await once(node.child, 'exit');
  await Promise.all(machines.map(gone));
  await restart();
}

async function stopNode(): Promise<void> {
  node.child.kill('SIGTERM');
  await once(node.child, 'exit');
}

async function restart(): Promise<void> {
  node = await home.start(START);
  expect(await tracesOfDead()).toEqual([]);
}

/** What is there that is not of the node itself. */
async function tracesOfDead(): Promise<string[]> {
  const traces = await tracesOf({ home: home.home, homeId: node.homeId });
  const own = new Set([`process ${node.child.pid}`, `socket ${home.home}/owner.sock`]);
  const files = (await unfinishedIn(home.home)).filter((name) => !/^(owner\.sock|node\.json)$/.test(name));
  return [...traces.filter((trace) => !own.has(trace) && !/^cgroup .*vmlet-[0-9a-f]{8}$/.test(trace)), ...files];
}

/** The machine that has the files of a snapshot: of all that are there, the others only wait to be of use. */
async function machineAtStep(): Promise<number> {
  for (;;) {
    for (const pid of await machinesOf(node.homeId)) {
      const open = await openFilesOf(pid).catch(() => []);
      if (open.some((path) => path.startsWith(folder()))) return pid;
    }
  }
}

async function kill(pid: number): Promise<void> {
  // One that nobody has use for may just be ending.
  await promisify(execFile)('kill', ['-KILL', String(pid)]).catch(() => undefined);
  await gone(pid);
}

test.each(SAVING)('node killed at $step: nothing is left, and the next node serves the program', async ({ step }) => {
  const reached = node.steps.reached(step);
  const program = await deploy();
  await reached;
  await killNode();
  expect(await request(program)).toEqual(OK);
});

test.each(SAVING.filter(({ machine }) => machine))(
  'machine killed at $step: its program is told that it is not saved, and serves',
  async ({ step }) => {
    // Nobody else's is being made then.
    await node.logSays(await deploy(), SAVED);
    await Promise.all((await machinesOf(node.homeId)).map(kill));
    const reached = node.steps.reached(step);
    const program = await deploy();
    const held = await reached;
    await kill(await machineAtStep());
    held.release();
    await node.logSays(program, NOT_SAVED);
    expect(await request(program)).toEqual(OK);
  },
);

/** A program that is restored by the next request for it, and that request as it comes to a step. */
async function restoringTo(step: string) {
  const program = await deploy();
  await node.logSays(program, SAVED);
  await Promise.all((await machinesOf(node.homeId)).map(kill));
  const reached = node.steps.reached(step);
  const outcome = request(program);
  return { program, outcome, held: await reached };
}

test.each(RESTORING)(
  'node killed at $step: nothing is left, and the next node serves the request',
  async ({ step }) => {
    const { program, outcome } = await restoringTo(step);
    await killNode();
    expect(await outcome).toEqual({});
    expect(await request(program)).toEqual(OK);
  },
);

test.each(RESTORING)('machine killed at $step: nobody waits in vain, and the next request is served', async (row) => {
  const { program, outcome, held } = await restoringTo(row.step);
  await kill(await machineAtStep());
  held.release();
  // Until it goes on by itself, another one is started in its place, and nobody notices.
  expect(await outcome).toEqual(row.isTold ? { status: 502, code: 'MACHINE_DIED' } : OK);
  expect(await request(program)).toEqual(OK);
});

/** Makes a program's snapshot, and gives its folder. */
async function savedIn(program: ItemHash): Promise<string> {
  await node.logSays(program, SAVED);
  for (const key of await readdir(folder())) {
    const text = await readFile(join(folder(), key, 'snapshot.json'), 'utf8');
    if (text.includes(program)) return join(folder(), key);
  }
  throw new Error(`Cannot find the snapshot of "${program}"`);
}

const DAMAGES: { what: string; damage: (path: string, other: string) => Promise<void> }[] = [
  { what: 'one bit of its memory is flipped', damage: (path) => flip(join(path, 'memory'), 3 * MIB) },
  { what: 'its state is cut off', damage: (path) => truncate(join(path, 'state'), 1000) },
  {
    what: 'it is another program’s under its name',
    damage: async (path, other) => {
      for (const name of ['memory', 'state', 'snapshot.json']) {
        await rm(join(path, name));
        await copyFile(join(other, name), join(path, name));
      }
    },
  },
];

test(
  'snapshots: damaged while no node runs are not used, are told of with the cause, and are made again',
  async () => {
    const programs = await Promise.all(DAMAGES.map(deploy));
    const other = await savedIn(await deploy());
    const paths: string[] = [];
    for (const program of programs) paths.push(await savedIn(program));
    await stopNode();
    for (const [index, { damage }] of DAMAGES.entries()) await damage(paths[index]!, other);
    await restart();
    for (const [index, program] of programs.entries()) {
      expect(await request(program), DAMAGES[index]!.what).toEqual(OK);
      const told = await node.says('a snapshot is damaged', `"${paths[index]!.split('/').at(-1)}"`);
      expect(JSON.parse(told), DAMAGES[index]!.what).toHaveProperty('found', expect.stringMatching(/./));
    }
    // Made again, one after the other, where there is memory that no machine has.
    await Promise.all(programs.map(halt));
    await node.logSays(await deploy(), SAVED);
    for (const path of paths) expect((await stat(join(path, 'memory'))).size).toBe(MEMORY_MIB * MIB);
  },
  LONG_MS,
);

async function flip(path: string, at: number): Promise<void> {
  await chmod(path, 0o644);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte.writeUInt8(byte.readUInt8(0) ^ 1, 0);
  await file.write(byte, 0, 1, at);
  await file.close();
  await chmod(path, 0o444);
}

test('snapshots: on a disk that is full none is made, the program serves, and is saved once there is room', async () => {
  await stopNode();
  await rm(folder(), { recursive: true });
  await mkdir(folder(), { mode: 0o700 });
  const mount = (...options: string[]) => promisify(execFile)('mount', [...options, folder()]);
  await mount('-t', 'tmpfs', '-o', 'size=64m,mode=700', 'tmpfs');
  try {
    node = await home.start(START);
    const program = await deploy();
    expect(await request(program)).toEqual(OK);
    await node.logSays(program, 'the disk is full');
    await mount('-o', 'remount,size=1g');
    await Promise.all((await machinesOf(node.homeId)).map(kill));
    expect(await request(program)).toEqual(OK);
    await node.logSays(program, SAVED);
    await stopNode();
  } finally {
    await promisify(execFile)('umount', ['-l', folder()]);
  }
  await restart();
});
