import { mkdtempDisposable } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { loadOrCreateKey, type NodeOptions } from '@vmlet/node';
import { expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { type Publisher, publishFile, publishProgram, zipOf } from '../framework/publish.ts';

/** Answers at once, or by `/slow` never before its client is gone. */
const APP = `
import asyncio

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        print("slow begins", flush=True)
        await asyncio.sleep(20)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
`;

/** A node for everybody, and somebody who is not its operator. */
async function withStranger(options: Partial<NodeOptions> = {}) {
  await using stack = new AsyncDisposableStack();
  const keys = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (dir) => dir.remove());
  const node = stack.use(await startTestNode({ allow: 'any', ...options }));
  const { signer } = await loadOrCreateKey(join(keys.path, 'stranger'));
  const stranger: Publisher = { url: node.url, signer };
  const owned = stack.move();
  return {
    node,
    stranger,
    deploy: async (variables: Record<string, string> = {}) => {
      const code = await publishFile(stranger, zipOf({ 'main.py': APP }));
      return publishProgram(stranger, { runtime: node.runtime, code, variables });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function owner(
  node: TestNode,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; json: unknown }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; json: unknown }>();
  const headers = body ? { 'content-type': 'application/json' } : {};
  request({ socketPath: node.node.ownerSocket, method, path, headers, agent: false }, async (answer) => {
    resolve({ status: answer.statusCode ?? 0, json: JSON.parse(await text(answer)) });
  })
    .on('error', reject)
    .end(body && JSON.stringify(body));
  return promise;
}

const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { code: string }).code];

test('owners: what is blocked is stopped, not run, not taken and not handed out, until it is unblocked', async () => {
  await using it = await withStranger();
  const { node, stranger } = it;
  const program = await it.deploy();
  expect((await node.ask(program)).status).toBe(200);
  const busy = node.ask(program, '/slow');
  await node.logSays(program, 'slow begins');
  const { address } = stranger.signer;
  const added = await owner(node, 'POST', '/blocks', { what: address.toLowerCase(), reason: 'spam' });
  expect(added).toMatchObject({ status: 200, json: { entries: [{ what: address.toLowerCase(), reason: 'spam' }] } });
  // Cut at once: it does not wait for the program's twenty seconds.
  expect((await busy).status).toBeGreaterThanOrEqual(500);
  expect(await codeOf(await node.ask(program))).toEqual([451, 'CONTENT_BLOCKED']);
  await expect(it.deploy({ again: '1' })).rejects.toThrow(/403 .*PUBLISH_BLOCKED/);
  expect((await owner(node, 'DELETE', `/blocks?what=${address}`)).json).toMatchObject({ removed: true, entries: [] });
  expect((await node.ask(program)).status).toBe(200);

  await owner(node, 'POST', '/blocks', { what: program });
  expect(await codeOf(await node.ask(program))).toEqual([451, 'CONTENT_BLOCKED']);
  expect(await node.logOf(program)).toContain('it is on the block list');
});

test('owners: one that has its share of machines waits for an idle one of its own, or is told to come again', async () => {
  await using it = await withStranger({ ownerCaps: { machines: 1, programs: 2 } });
  const { node } = it;
  const first = await it.deploy({ name: 'first' });
  const second = await it.deploy({ name: 'second' });
  await expect(it.deploy({ name: 'third' })).rejects.toThrow(/403 .*OWNER_PROGRAMS_EXCEEDED/);
  expect((await node.ask(first)).status).toBe(200);
  // The first is idle, and makes room.
  expect((await node.ask(second)).status).toBe(200);
  expect(await node.logOf(first)).toContain('Stopping: its owner has another program that needs its place');
  const busy = node.ask(second, '/slow');
  await node.logSays(second, 'slow begins');
  const refused = await node.ask(first);
  expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
  expect(await codeOf(refused)).toEqual([429, 'OWNER_MACHINES_EXCEEDED']);
  // The operator has no such bound.
  const own = await node.deploy({ 'main.py': APP });
  expect((await node.ask(own)).status).toBe(200);
  expect((await busy).status).toBe(200);
});

test('owners: one that has used up its processor time is stopped, and told when to come again', async () => {
  await using it = await withStranger({ ownerCaps: { cpuSeconds: 0.1 } });
  const { node } = it;
  const program = await it.deploy();
  // Its start alone takes more; what was under way is answered.
  expect((await node.ask(program)).status).toBe(200);
  const refused = await node.ask(program);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(60);
  expect(await codeOf(refused)).toEqual([429, 'OWNER_CPU_EXCEEDED']);
  await node.logSays(program, 'Stopping: Cannot run a program of');
});
