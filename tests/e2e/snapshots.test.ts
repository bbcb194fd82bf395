import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

const PROGRAM = `
import os, time
loaded_in = os.getpid(), time.time()
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": repr(loaded_in).encode()})
`;

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ snapshotBudgetMiB: 1024, logLevel: 'debug' });
});
afterAll(async () => node[Symbol.asyncDispose]());

/** Which way a start went, by the phases that its first answer tells. */
async function wayOf(answer: Response): Promise<string | undefined> {
  return answer.headers.get('server-timing')?.replaceAll(/;dur=[\d.]+/g, '');
}

test('snapshots: a program that was deployed is started from its own', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM });
  await node.logSays(program, 'Saved for quick starts');
  const answer = await node.ask(program);
  expect(answer.status).toBe(200);
  expect(await wayOf(answer)).toBe('prepare, restore, resume, app');
});

test('snapshots: a new program on a runtime that is known is loaded into a machine from the runtime’s', async () => {
  // Its own is not made while a request waits for a machine, and is not needed.
  const program = await node.deploy({ 'main.py': `${PROGRAM}# another one\n` });
  const answer = await node.ask(program);
  expect(answer.status).toBe(200);
  expect(await wayOf(answer)).toBe('prepare, restore, resume, load, app');
  await node.logSays(program, 'Saved for quick starts');
});
