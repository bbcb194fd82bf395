import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

/** A program with a hook, that answers with what it was told. */
const program = (hook: string) => ({
  'main.py': `
told = []
${hook}
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": repr(told).encode()})
`,
});

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ snapshotBudgetMiB: 2048 });
});
afterAll(async () => node[Symbol.asyncDispose]());

test('hooks: are called once for a snapshot and once for a start of it, before its first request', async () => {
  const deployed = await node.deploy(
    program('def before_snapshot(): told.append("before")\nasync def after_restore(): told.append("after")'),
  );
  await node.logSays(deployed, 'Saved for quick starts');
  const answer = await node.ask(deployed);
  expect(answer.headers.get('server-timing')).toContain('restore');
  expect(await answer.text()).toBe("['before', 'after']");
});

test('a hook before the snapshot that fails: is told in the log, and the program starts without', async () => {
  const deployed = await node.deploy(program('def before_snapshot(): raise RuntimeError("not now")'));
  await node.logSays(deployed, 'HOOK_FAILED');
  expect(await node.logOf(deployed)).toContain('RuntimeError: not now');
  expect(await (await node.ask(deployed)).text()).toBe('[]');
});

test('a hook after the restore that fails: is told in the log, with its words', async () => {
  const deployed = await node.deploy(program('def after_restore(): raise RuntimeError("no database")'));
  await node.logSays(deployed, 'Saved for quick starts');
  const answer = await node.ask(deployed);
  // It was loaded anew, in a machine that is no clone of its own snapshot.
  expect(await answer.text()).toBe('[]');
  const log = await node.logOf(deployed);
  expect(log).toContain('Not woken from its snapshot: Cannot call "after_restore": RuntimeError: no database');
  expect(log).toContain('main.py');
});
