import { randomUUID } from 'node:crypto';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { forget } from '../framework/publish.ts';

const PROGRAM = `
import json, os, time
imported = time.time()
asked = []
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    asked.append(scope["path"])
    body = {"now": time.time(), "imported": imported, "asked": asked, "variable": os.environ.get("LATE")}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
`;
const answerSchema = z.object({
  now: z.number(),
  imported: z.number(),
  asked: z.array(z.string()),
  variable: z.string(),
});
const SAVED = 'Saved for quick starts';
const NOT_SAVED = 'Not saved for quick starts';
const ACCESS_MODE = 0o3;
/** What a guest's clock may be away from the host's. */
const CLOCK_SECONDS = 0.01;

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ snapshotBudgetMiB: 2048 });
});
afterAll(async () => node[Symbol.asyncDispose]());

/** What a start was made from, by what its first answer tells. */
function wayOf(answer: Response): string {
  return /desc="(\w+)"/.exec(answer.headers.get('server-timing') ?? '')?.[1] ?? 'was running';
}

/** They are made one after the other: when this returns, all that were wanted before are made, or have failed. */
async function allMade(): Promise<void> {
  const last = await node.deploy({ 'main.py': `${PROGRAM}# ${randomUUID()}\n` });
  await node.logSays(last, SAVED);
}

const folder = () => join(node.home, 'snapshots');

test('snapshots: a program that was deployed is started from its own, with the time of the host', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM }, { variables: { LATE: 'here' } });
  await node.logSays(program, SAVED);
  const before = Date.now() / 1000;
  const answer = await node.ask(program, '/first');
  const after = Date.now() / 1000;
  expect(wayOf(answer)).toBe('program');
  const { now, imported, asked, variable } = answerSchema.parse(await answer.json());
  // It was imported in the machine that was saved, whose clock is hours behind, and nobody asked it for anything there.
  expect(before - imported).toBeGreaterThan(3600);
  expect({ asked, variable }).toEqual({ asked: ['/first'], variable: 'here' });
  expect(now).toBeGreaterThan(before - CLOCK_SECONDS);
  expect(now).toBeLessThan(after + CLOCK_SECONDS);
});

test('snapshots: a new program on a runtime that is known is loaded into a machine from the runtime’s', async () => {
  const program = await node.deploy({ 'main.py': `${PROGRAM}# another one\n` });
  // Its own is not made while a request waits for a machine.
  expect(wayOf(await node.ask(program))).toBe('runtime');
  await node.logSays(program, SAVED);
});

test('snapshots: are sealed, and no machine that is made from one can write to it', async () => {
  const program = await node.deploy({ 'main.py': `${PROGRAM}# sealed\n` });
  await node.logSays(program, SAVED);
  expect(wayOf(await node.ask(program))).toBe('program');
  expect((await stat(folder())).mode & 0o777).toBe(0o700);
  const keys = await readdir(folder());
  expect(keys.length).toBeGreaterThan(1);
  for (const key of keys) {
    expect((await readdir(join(folder(), key))).toSorted()).toEqual(['memory', 'snapshot.json', 'state']);
    for (const name of ['memory', 'snapshot.json', 'state']) {
      const { mode, uid } = await stat(join(folder(), key, name));
      expect({ mode: mode & 0o777, uid }).toEqual({ mode: 0o444, uid: process.getuid?.() });
    }
  }
  const { programs } = await node.owner<{ programs: { itemHash: string; pid: number }[] }>('/programs');
  const { pid } = programs.find(({ itemHash }) => itemHash === program)!;
  const open = await openOf(pid);
  const ofSnapshots = open.filter(({ target }) => target.startsWith(folder()));
  expect(ofSnapshots.length).toBeGreaterThan(0);
  expect(ofSnapshots.filter(({ flags }) => (flags & ACCESS_MODE) !== 0)).toEqual([]);
  const mapped = (await readFile(`/proc/${pid}/maps`, 'utf8')).split('\n').filter((line) => line.includes(folder()));
  expect(mapped.length).toBeGreaterThan(0);
  expect(mapped.filter((line) => !/^\S+ ..-p|^\S+ ...p/.test(line))).toEqual([]);
});

test('snapshots: none is made of a program that does not want it', async () => {
  const program = await node.deploy({ 'main.py': `${PROGRAM}# not this one\n` }, { snapshot: false });
  expect(wayOf(await node.ask(program))).toBe('runtime');
  await allMade();
  expect(await node.logOf(program)).not.toContain(SAVED);
  await node.endMachine(program);
  expect(wayOf(await node.ask(program))).toBe('runtime');
});

test('snapshots: a program whose hook fails is told so, and serves', async () => {
  const hook = 'def before_snapshot():\n    raise RuntimeError("not now")\n';
  const program = await node.deploy({ 'main.py': PROGRAM + hook });
  await node.logSays(program, NOT_SAVED);
  expect(await node.logOf(program)).toContain('RuntimeError: not now');
  expect(wayOf(await node.ask(program))).toBe('runtime');
});

test('snapshots: one that its program refuses to wake from is given up after a second time', async () => {
  const hook = 'def after_restore():\n    raise RuntimeError("never")\n';
  const program = await node.deploy({ 'main.py': PROGRAM + hook });
  await node.logSays(program, SAVED);
  for (const _ of [1, 2]) {
    // The start goes on another way, and whoever waits for it does not notice.
    expect(wayOf(await node.ask(program))).toBe('runtime');
    await allMade();
    await node.endMachine(program);
  }
  const times = (await node.logOf(program)).split(SAVED).length - 1;
  expect(times).toBe(2);
});

test('snapshots: those of a program that is removed go, and that of its runtime stays for the others', async () => {
  await allMade();
  const before = new Set(await readdir(folder()));
  const program = await node.deploy({ 'main.py': `${PROGRAM}# to be removed\n` });
  await node.logSays(program, SAVED);
  const [own] = (await readdir(folder())).filter((key) => !before.has(key));
  await forget(node, [program]);
  await allMade();
  const left = await readdir(folder());
  expect(left).not.toContain(own);
  expect([...before].filter((key) => !left.includes(key))).toEqual([]);
});

async function openOf(pid: number): Promise<{ target: string; flags: number }[]> {
  const fds = await readdir(`/proc/${pid}/fd`);
  return await Promise.all(
    fds.map(async (fd) => {
      const target = await readlink(`/proc/${pid}/fd/${fd}`);
      const [, flags = ''] = /^flags:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8')) ?? [];
      return { target, flags: Number.parseInt(flags, 8) };
    }),
  );
}
