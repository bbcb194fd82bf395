import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

/** Counts what it is asked, tells its clocks, and echoes over a WebSocket. */
const PROGRAM = `
import json, time
paths = []
async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
    elif scope["type"] == "http":
        paths.append(scope["path"])
        body = json.dumps({"paths": paths, "wallMs": time.time() * 1000, "steadyMs": time.monotonic() * 1000}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
`;

interface Answer {
  paths: string[];
  wallMs: number;
  steadyMs: number;
}

interface Row {
  itemHash: string;
  state: string;
  pid: number | null;
  spares: number;
}

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode({ pauseAfterMs: 200, spareBudgetMiB: 512 });
});
// Paused machines and spares are left to the node's end, which leaves nothing of them.
afterAll(async () => node[Symbol.asyncDispose]());

const cool = (program: ItemHash, to: 'paused' | 'spare' | 'snapshot') =>
  node.owner<Record<string, unknown>>(`/programs/${program}/cool?to=${to}`, 'POST');
const rowOf = async (program: ItemHash): Promise<Row | undefined> => {
  const { programs } = await node.owner<{ programs: Row[] }>('/programs');
  return programs.find(({ itemHash }) => itemHash === program);
};
/** Asks the node until it is so: each question is a round trip. */
const becomes = async (program: ItemHash, state: string) => {
  let row = await rowOf(program);
  while (row?.state !== state) row = await rowOf(program);
  return row;
};
const ask = async (program: ItemHash, path = '/', init: RequestInit = {}) => {
  const answer = await node.ask(program, path, init);
  const { paths, wallMs, steadyMs } = (await answer.json()) as Answer;
  return { paths, wallMs, steadyMs, timing: answer.headers.get('server-timing') ?? '' };
};
/** Processor time of a process, in clock ticks. */
const ticksOf = async (pid: number | null | undefined) => {
  const fields = (await readFile(`/proc/${pid}/stat`, 'latin1')).split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
};

test('temperatures: a machine that nobody asks is paused, takes no processor, and goes on where it was', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM });
  const before = await ask(program, '/1');
  const paused = await becomes(program, 'paused');
  const ticks = await ticksOf(paused.pid);
  // Another machine boots meanwhile, which takes its time.
  const other = await node.deploy({ 'main.py': PROGRAM }, { name: 'other' });
  await ask(other, '/');
  expect(await ticksOf(paused.pid)).toBe(ticks);
  const askedMs = Date.now();
  const after = await ask(program, '/2');
  const answeredMs = Date.now();
  expect(after.paths).toEqual(['/1', '/2']);
  expect(after.timing).toMatch(/resume;dur=/);
  expect((await rowOf(program))?.pid).toBe(paused.pid);
  // Its clock is the host's from the first instruction of the request on; that which is steady stood still meanwhile.
  expect(after.wallMs).toBeGreaterThan(askedMs - 10);
  expect(after.wallMs).toBeLessThan(answeredMs + 10);
  expect(after.steadyMs - before.steadyMs).toBeLessThan(after.wallMs - before.wallMs);
  expect(after.steadyMs).toBeGreaterThan(before.steadyMs);
});

test('temperatures: a machine with an open WebSocket is not paused, and is when that has closed', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM }, { name: 'chat' });
  const socket = new WebSocket(`${node.url}/vm/${program}/chat`);
  await once(socket, 'open');
  // Whatever else happens in more than the time after which it would be.
  const other = await node.deploy({ 'main.py': PROGRAM }, { name: 'meanwhile' });
  await ask(other);
  expect(await cool(program, 'paused')).toMatchObject({ code: 'PROGRAM_NOT_COOLED' });
  socket.send('still there');
  const [event] = (await once(socket, 'message')) as [MessageEvent];
  expect(event.data).toBe('still there');
  expect((await rowOf(program))?.state).toBe('running');
  socket.close();
  await becomes(program, 'paused');
});

test('temperatures: a program that says so is never paused', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM }, { metadata: { pause: false } });
  await ask(program);
  expect(await cool(program, 'paused')).toMatchObject({ code: 'PROGRAM_NOT_COOLED' });
  expect((await rowOf(program))?.state).toBe('running');
});

test('temperatures: a spare answers as its program’s first machine, and was asked nothing before', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM }, { name: 'spare' });
  expect(await cool(program, 'spare')).toMatchObject({ state: 'spare' });
  const spare = await rowOf(program);
  expect(spare).toMatchObject({ state: 'spare', spares: 1 });
  const ticks = await ticksOf(spare?.pid);
  const askedMs = Date.now();
  const first = await ask(program, '/first');
  expect(ticks).toBeGreaterThan(0);
  expect(first.timing).toMatch(/claim;dur=.*resume;dur=/);
  expect(first.paths).toEqual(['/first']);
  expect(first.wallMs).toBeGreaterThan(askedMs - 10);
  expect((await rowOf(program))?.pid).toBe(spare?.pid);
});

test('temperatures: a spare is warmed up by the path that its program names', async () => {
  const variables = { VMLET_PRIME_PATH: '/warm' };
  const program = await node.deploy({ 'main.py': PROGRAM }, { name: 'primed', variables });
  await cool(program, 'spare');
  expect((await ask(program, '/first')).paths).toEqual(['/warm', '/first']);
});

test('temperatures: the launcher’s own endpoint is a path of the program’s for every visitor', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM }, { name: 'endpoint' });
  await cool(program, 'spare');
  const headers = { 'x-vmlet-prime': '0'.repeat(32) };
  expect((await ask(program, '/.vmlet/prime', { headers })).paths).toEqual(['/.vmlet/prime']);
});

test('temperatures: a paused machine and a spare may be killed: the next request is served', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM }, { name: 'killed' });
  for (const to of ['paused', 'spare'] as const) {
    await cool(program, to);
    const row = await rowOf(program);
    process.kill(row?.pid ?? 0, 'SIGKILL');
    expect((await ask(program, '/after')).paths).toEqual(['/after']);
    expect((await rowOf(program))?.pid).not.toBe(row?.pid);
  }
  await cool(program, 'spare');
});
