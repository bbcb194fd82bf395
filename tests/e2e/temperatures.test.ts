import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

/** Counts, and tells its clocks. */
const PROGRAM = `
import json, time
count = 0
async def app(scope, receive, send):
    global count
    if scope["type"] != "http":
        return
    wall, steady = time.time(), time.monotonic()
    count += 1
    body = json.dumps({"count": count, "path": scope["path"], "wallMs": wall * 1000, "steadyMs": steady * 1000}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
`;

interface Answer {
  count: number;
  wallMs: number;
  steadyMs: number;
}

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode({ pauseAfterMs: 200 });
});
afterAll(async () => node[Symbol.asyncDispose]());

const cool = (program: ItemHash, to: string) =>
  node.owner<{ state: string }>(`/programs/${program}/cool?to=${to}`, 'POST');

test('temperatures: x', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM });
  for (const to of ['paused', 'spare', 'snapshot'] as const) {
    const all: number[] = [];
    for (let i = 0; i < (to === 'paused' ? 20 : 4); i++) {
      console.log(await cool(program, to));
      const { programs } = await node.owner<{ programs: object[] }>('/programs');
      console.log(programs[0]);
      const t = performance.now();
      const answer = await node.ask(program);
      const ms = performance.now() - t;
      const before = Date.now();
      const a = (await answer.json()) as Answer;
      all.push(ms);
      console.log(to, ms.toFixed(1), answer.headers.get('server-timing'), before - a.wallMs, a);
    }
    console.log(to, all.sort((a, b) => a - b)[all.length >> 1]);
  }
  console.log(await node.logOf(program));
}, 100_000);
