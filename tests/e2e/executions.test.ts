import { afterAll, beforeAll, expect, test } from 'vitest';
import { machinesOf } from '../framework/leaks.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { forget } from '../framework/publish.ts';

/** Counts what it is asked, so that a request sent twice would show. */
const COUNTING = `
count = 0
async def app(scope, receive, send):
    global count
    if scope["type"] != "http":
        return
    if scope["path"] == "/count":
        count += 1
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(count).encode()})
`;

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode({ maxInFlight: 8, maxQueued: 24, idleMs: 3000 });
});
afterAll(async () => node[Symbol.asyncDispose]());

const states = async () => {
  const { programs } = await node.owner<{ programs: { itemHash: string; state: string }[] }>('/programs');
  return Object.fromEntries(programs.map((program) => [program.itemHash, program.state]));
};

test('executions: requests to a sleeping program share one start, and each is sent once', async () => {
  const program = await node.deploy({ 'main.py': COUNTING });
  const answers = await Promise.all(Array.from({ length: 20 }, () => node.ask(program, '/count')));
  expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(200));
  expect(await machinesOf(node.homeId)).toHaveLength(1);
  expect(await (await node.ask(program, '/')).text()).toBe('20');
});

test('executions: two programs run side by side, in machines of their own', async () => {
  const programs = await Promise.all([
    node.deploy({ 'main.py': COUNTING }, { name: 'a' }),
    node.deploy({ 'main.py': COUNTING }, { name: 'b' }),
  ]);
  const texts = await Promise.all(programs.map(async (program) => (await node.ask(program, '/count')).text()));
  expect(texts).toEqual(['1', '1']);
});

test('executions: the line is bounded: what is over it gets 503 with Retry-After, and the rest is served', async () => {
  const program = await node.deploy({ 'main.py': COUNTING });
  const answers = await Promise.all(Array.from({ length: 40 }, () => node.ask(program, '/count')));
  const refused = answers.filter((answer) => answer.status === 503);
  expect(refused).toHaveLength(8);
  expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused[0]?.json()).toMatchObject({ code: 'QUEUE_FULL', phase: 'queue', retryable: true });
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(32);
  expect(await (await node.ask(program, '/')).text()).toBe('32');
});

test('executions: a machine that nobody asks is halted, and the next request wakes it again', async () => {
  const program = await node.deploy({ 'main.py': COUNTING });
  await node.ask(program, '/count');
  await node.logSays(program, 'Stopping: nobody asked for it');
  const again = await node.ask(program, '/count');
  expect(await again.text()).toBe('1');
  expect(again.headers.get('server-timing')).toContain('boot');
});

test('executions: a program that its owner forgets is stopped and gone', async () => {
  const program = await node.deploy({ 'main.py': COUNTING });
  expect((await node.ask(program)).status).toBe(200);
  await forget(node, [program]);
  expect((await node.ask(program)).status).toBe(404);
  expect(await states()).not.toHaveProperty(program);
});
