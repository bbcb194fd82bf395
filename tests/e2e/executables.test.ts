import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { publishFile, publishProgram } from '../framework/publish.ts';

/** Serves on the loopback only, as programs of the reference network do. */
const SERVER = `#!/usr/bin/env python3
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{os.environ['GREETING']} from {self.path} with {sys.argv[1:]}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/exit":
            os._exit(3)

print("listening", flush=True)
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`;

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
});
afterAll(async () => node[Symbol.asyncDispose]());

test('executables: a script serves on $PORT, bound to the loopback too, and its listening wakes the request', async () => {
  const program = await node.deploy(
    { 'run.sh': '#!/bin/sh\nexec ./server.py one "two three"\n', 'server.py': SERVER },
    { entrypoint: 'run.sh', variables: { GREETING: 'hello' } },
  );
  const first = await node.ask(program, '/a');
  expect(first.status).toBe(200);
  expect(await first.text()).toBe("hello from /a with ['one', 'two three']");
  expect(first.headers.get('server-timing')).toContain('load');
  expect(await (await node.ask(program, '/b')).text()).toContain('/b');
  expect(await node.logOf(program)).toContain('stdout: listening');
});

test('executables: one that ends says how, and the next request starts it anew', async () => {
  const program = await node.deploy({ 'run.py': SERVER }, { entrypoint: 'run.py', variables: { GREETING: 'hi' } });
  expect((await node.ask(program, '/exit')).status).toBe(200);
  await node.logSays(program, 'the program ended with exit code 3');
  expect((await node.ask(program, '/')).status).toBe(200);
});

test('executables: one that ends before it listens is told with its exit code', async () => {
  const program = await node.deploy({ 'run.sh': '#!/bin/sh\necho goodbye\nexit 4\n' }, { entrypoint: 'run.sh' });
  const answer = await node.ask(program);
  expect(answer.status).toBe(502);
  expect(await answer.json()).toMatchObject({ phase: 'load', code: 'PROGRAM_LOAD_FAILED' });
  expect(await node.logOf(program)).toMatch(/stdout: goodbye\n.*platform: .*4/s);
});

test('executables: plain code is one', async () => {
  const code = await publishFile(node, new Blob([SERVER]));
  const program = await publishProgram(node, {
    runtime: node.runtime,
    code,
    encoding: 'plain',
    entrypoint: 'server',
    interface: 'binary',
    variables: { GREETING: 'hey' },
  });
  expect(await (await node.ask(program, '/p')).text()).toContain('hey from /p');
});
