import { unzipSync, zipSync } from 'fflate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { install, wheel } from '../framework/install.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
});
afterAll(async () => node[Symbol.asyncDispose]());

const bytes = (text: string) => new TextEncoder().encode(text);

test('install: requirements are installed by the runtime’s own Python, and a program imports them', async () => {
  const name = 'tiny-1.0-py3-none-any.whl';
  const answer = await install(node, zipSync({ 'requirements.txt': bytes(`./${name}\n`), [name]: wheel() }));
  expect(answer.status, answer.body.toString()).toBe(200);
  const installed = unzipSync(answer.body);
  expect(Object.keys(installed)).toContain('tiny/__init__.py');
  expect(Object.keys(installed).some((path) => path.endsWith('.cpython-311.pyc'))).toBe(true);

  const files = Object.entries(installed).filter(([path]) => path.endsWith('.py'));
  const program = await node.deploy({
    'main.py': `
import tiny
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(tiny.ANSWER).encode()})
`,
    ...Object.fromEntries(
      files.map(([path, data]) => [`.vmlet/site-packages/${path}`, new TextDecoder().decode(data)]),
    ),
  });
  expect(await (await node.ask(program)).text()).toBe('42');
});

test('install: what pip says of a failure reaches the owner', async () => {
  const answer = await install(node, zipSync({ 'requirements.txt': bytes('./absent-1.0-py3-none-any.whl\n') }));
  expect(answer.status).toBe(422);
  expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'INSTALL_FAILED', phase: 'code' });
  expect(JSON.parse(answer.body.toString()).detail).toContain('absent-1.0');
});
