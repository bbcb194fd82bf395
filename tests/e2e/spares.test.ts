import type { ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { startTestNode } from '../framework/node.ts';

const PROGRAM = `
import os
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": os.urandom(16).hex().encode()})
`;

test('spares: a program that is asked now and then has one, when its machine has ended, and no clone is like another', async () => {
  await using node = await startTestNode({
    ...{ snapshotBudgetMiB: 1024, spareBudgetMiB: 512, idleMs: 1000, pauseAfterMs: 100 },
  });
  const program = await node.deploy({ 'main.py': PROGRAM });
  const seen = new Set<string>();
  const ask = async (hash: ItemHash) => {
    const answer = await node.ask(hash);
    seen.add(await answer.text());
    return answer.headers.get('server-timing');
  };
  await node.logSays(program, 'Saved for quick starts');
  expect(await ask(program)).toMatch(/restore;dur=/);
  for (const _ of [1, 2]) {
    let state = '';
    while (state !== 'spare') {
      const { programs } = await node.owner<{ programs: { state: string }[] }>('/programs');
      state = programs[0]?.state ?? '';
    }
    expect(await ask(program)).toMatch(/claim;dur=/);
  }
  expect(seen.size).toBe(3);
});
