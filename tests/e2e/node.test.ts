import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { publishPath } from '../framework/publish.ts';
import { officialRuntime } from '../framework/runtime.ts';

let node: TestNode;
let runtime: ItemHash;
beforeAll(async () => {
  node = await startTestNode();
  const { imagePath, manifest } = await officialRuntime('debian-11-node');
  runtime = await publishPath(node, imagePath, manifest);
});
afterAll(async () => node[Symbol.asyncDispose]());

const deploy = (files: Record<string, string>, entrypoint: string) => node.deploy(files, { runtime, entrypoint });

test('node: a fetch handler answers, streams, and keeps its state while hot', async () => {
  const program = await deploy(
    {
      'index.mjs': `
        let count = 0;
        export default {
          async fetch(request) {
            const url = new URL(request.url);
            if (url.pathname === '/echo') return new Response(request.body, { headers: { 'x-method': request.method } });
            if (url.pathname === '/stream') {
              const parts = ['one ', 'two ', 'three'];
              return new Response(new ReadableStream({
                pull(controller) { const next = parts.shift(); next ? controller.enqueue(new TextEncoder().encode(next)) : controller.close(); },
              }));
            }
            return Response.json({ count: ++count, node: process.versions.node, path: url.pathname });
          },
        };`,
    },
    'index.mjs',
  );
  const first = await node.ask(program, '/a');
  expect(await first.json()).toMatchObject({ count: 1, path: '/a', node: expect.stringMatching(/^\d+\./) });
  expect(await (await node.ask(program, '/b')).json()).toMatchObject({ count: 2, path: '/b' });
  const echo = await node.ask(program, '/echo', { method: 'POST', body: 'x'.repeat(1_000_000) });
  expect([echo.headers.get('x-method'), (await echo.text()).length]).toEqual(['POST', 1_000_000]);
  expect(await (await node.ask(program, '/stream')).text()).toBe('one two three');
});

test('node: a request handler of CommonJS answers', async () => {
  const program = await deploy(
    { 'server.js': 'module.exports = (req, res) => res.end("handled " + req.method + " " + req.url);' },
    'server.js',
  );
  expect(await (await node.ask(program, '/x?y=1')).text()).toBe('handled GET /x?y=1');
});

test('node: a server that listens by itself answers, in TypeScript too', async () => {
  const program = await deploy(
    {
      'app.ts': `import { createServer, type ServerResponse } from 'node:http';
        const answer = (response: ServerResponse): void => void response.end('typed');
        createServer((_request, response) => answer(response)).listen(process.env.PORT);`,
    },
    'app.ts',
  );
  expect(await (await node.ask(program)).text()).toBe('typed');
});

test('node: a missing module is told to the owner, and an uncaught error ends the program', async () => {
  const missing = await deploy({ 'a.js': "require('not-here');" }, 'a.js');
  expect((await node.ask(missing)).status).toBe(502);
  expect(await node.logOf(missing)).toContain('not-here');
  const throws = await deploy(
    {
      'b.js':
        'module.exports = (req, res) => { if (req.url === "/throw") setImmediate(() => { throw new Error("late") }); else res.end("ok"); };',
    },
    'b.js',
  );
  expect((await node.ask(throws, '/throw')).status).toBe(502);
  expect(await (await node.ask(throws)).text()).toBe('ok');
  expect(await node.logOf(throws)).toContain('Error: late');
});
