import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

/** One ASGI program by hand that shows what a gateway could spoil. */
const PROGRAM = `
import asyncio, gzip, os, socket, sys
print("imported", flush=True)
print("a warning", file=sys.stderr, flush=True)
BODY = b"x" * 100
next_chunk = asyncio.Event()

async def answer(send, status, body, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})

async def read_body(receive):
    size = 0
    while True:
        event = await receive()
        size += len(event.get("body", b""))
        if not event.get("more_body"):
            return size

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path == "/hello":
        await answer(send, 200, b"Hello from " + socket.gethostname().encode(), [(b"content-type", b"text/plain")])
    elif path == "/gzip":
        await answer(send, 200, gzip.compress(b"squeezed"), [(b"content-encoding", b"gzip")])
    elif path == "/redirect":
        await answer(send, 302, b"", [(b"location", b"/elsewhere?a=b")])
    elif path == "/missing":
        await answer(send, 404, b"my own page", [(b"x-mine", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
    elif path == "/echo":
        await answer(send, 200, str(await read_body(receive)).encode())
    elif path == "/headers":
        lines = b"\\n".join(name + b": " + value for name, value in scope["headers"])
        await answer(send, 200, scope["query_string"] + b"\\n" + lines)
    elif path == "/big":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(50):
            await send({"type": "http.response.body", "body": b"y" * 100_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await next_chunk.wait()
        await send({"type": "http.response.body", "body": b"second"})
    elif path == "/next":
        next_chunk.set()
        await answer(send, 200, b"ok")
    elif path == "/connect":
        try:
            await asyncio.wait_for(asyncio.open_connection("10.0.2.2", int(scope["query_string"])), 5)
            await answer(send, 200, b"connected")
        except Exception as error:
            await answer(send, 200, b"refused: " + type(error).__name__.encode())
    elif path == "/environ":
        await answer(send, 200, "\\n".join(f"{k}={v}" for k, v in sorted(os.environ.items())).encode())
    else:
        await answer(send, 500, b"?")
`;

let node: TestNode;
let program: ItemHash;
let firstAnswer: Response;

beforeAll(async () => {
  node = await startTestNode();
  program = await node.deploy({ 'main.py': PROGRAM }, { name: 'vertical', variables: { GREETING: 'hi' } });
  firstAnswer = await node.ask(program, '/hello');
});
afterAll(async () => node[Symbol.asyncDispose]());

test('vertical: the first request wakes a machine and tells its phases', async () => {
  expect(firstAnswer.status).toBe(200);
  expect(await firstAnswer.text()).toMatch(/^Hello from [a-z2-7]{52}$/);
  const timing = firstAnswer.headers.get('server-timing') ?? '';
  expect(timing).toMatch(/^queue;dur=[\d.]+, prepare;dur=[\d.]+, boot;dur=[\d.]+, load;dur=[\d.]+, app;dur=[\d.]+, /);
  expect(timing).toMatch(/, total;desc="boot";dur=[\d.]+$/);
});

test('vertical: a hot request is answered by the same machine, without phases', async () => {
  const before = await node.owner<{ programs: { pid: number }[] }>('/programs');
  const answer = await node.ask(program, '/hello');
  expect(answer.status).toBe(200);
  expect(answer.headers.get('server-timing')).toBeNull();
  expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  const after = await node.owner<{ programs: { pid: number }[] }>('/programs');
  expect(after.programs[0]?.pid).toBe(before.programs[0]?.pid);
});

test('vertical: the program is reached on a host name of its own', async () => {
  const { programs } = await node.owner<{ programs: { hostUrl: string }[] }>('/programs');
  const { hostname, port } = new URL(programs[0]!.hostUrl);
  const answer = await rawGet(Number(port), '/hello', { host: `${hostname}:${port}` });
  expect(answer).toMatchObject({ status: 200, body: `Hello from ${hostname.split('.')[0]}` });
});

test('vertical: an unknown host name is 404, below the programs’ domain or not', async () => {
  const port = Number(new URL(node.url).port);
  for (const host of ['example.org', 'nothing.vm.localhost', `${'a'.repeat(52)}.vm.localhost`, 'vm.localhost', '']) {
    const answer = await rawGet(port, '/hello', { host });
    expect(answer.status, host).toBe(404);
    expect(JSON.parse(answer.body)).toHaveProperty('phase', 'route');
  }
});

test('vertical: a browser’s navigation below /vm/ is sent to the program’s own host', async () => {
  const port = Number(new URL(node.url).port);
  const path = `/vm/${program}/hello?x=1`;
  const answer = await rawGet(port, path, { 'sec-fetch-mode': 'navigate' });
  expect(answer.status).toBe(307);
  expect(answer.location).toMatch(/^http:\/\/[a-z2-7]{52}\.vm\.localhost:\d+\/hello\?x=1$/);
  const old = await rawGet(port, path, { accept: 'text/html,*/*' });
  expect(old.status).toBe(307);
  const script = await rawGet(port, path, { accept: '*/*', 'sec-fetch-mode': 'cors' });
  expect(script.status).toBe(200);
});

test('vertical: status, headers, redirects and error pages of the program come through untouched', async () => {
  const redirect = await node.ask(program, '/redirect');
  expect([redirect.status, redirect.headers.get('location')]).toEqual([302, '/elsewhere?a=b']);
  const missing = await node.ask(program, '/missing');
  expect(missing.status).toBe(404);
  expect(missing.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  expect(missing.headers.get('x-mine')).toBe('1');
  expect(missing.headers.get('server')).toBeNull();
  expect(await missing.text()).toBe('my own page');
});

test('vertical: a compressed body stays compressed', async () => {
  const port = Number(new URL(node.url).port);
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  request({ port, path: `/vm/${program}/gzip` }, async (answer) => {
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk);
    resolve(Buffer.concat(chunks));
  }).end();
  expect(gunzipSync(await promise).toString()).toBe('squeezed');
});

test('vertical: large bodies stream both ways', async () => {
  const sizeBytes = 8 * 1024 * 1024;
  const answer = await node.ask(program, '/echo', { method: 'POST', body: new Uint8Array(sizeBytes) });
  expect(await answer.text()).toBe(String(sizeBytes));
  const big = await node.ask(program, '/big');
  expect((await big.arrayBuffer()).byteLength).toBe(5_000_000);
});

test('vertical: the first part of an answer arrives before the program has made the rest', async () => {
  const answer = await node.ask(program, '/stream');
  const reader = answer.body!.getReader();
  const first = await reader.read();
  expect(new TextDecoder().decode(first.value)).toBe('first');
  await node.ask(program, '/next');
  const second = await reader.read();
  expect(new TextDecoder().decode(second.value)).toBe('second');
});

test('vertical: the program gets the client’s headers, the query as sent, and word of the client', async () => {
  const answer = await node.ask(program, '/headers?q=%C3%A4&q=2', {
    headers: { 'x-custom': 'Value', 'x-forwarded-for': '6.6.6.6', 'x-request-id': 'abc.1' },
  });
  const [query, ...headers] = (await answer.text()).split('\n');
  expect(query).toBe('q=%C3%A4&q=2');
  expect(headers).toContain('x-custom: Value');
  expect(headers).toContain('x-request-id: abc.1');
  expect(headers.join('\n')).toMatch(/^forwarded: for=127\.0\.0\.1;host="127\.0\.0\.1:\d+";proto=http$/m);
  expect(headers.join('\n')).not.toContain('6.6.6.6');
  expect(answer.headers.get('x-request-id')).toBe('abc.1');
});

test('vertical: a program has no way out to its host', async () => {
  const seen: unknown[] = [];
  const listener = createServer((socket) => {
    seen.push(socket.remoteAddress);
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  // 10.0.2.2 is the host's loopback as a guest of user-mode networking would reach it.
  const answer = await node.ask(program, `/connect?${port}`);
  expect(await answer.text()).toMatch(/^refused: /);
  expect(seen).toEqual([]);
  listener.close();
});

test('vertical: the program finds its variables and the platform’s', async () => {
  const environ = await (await node.ask(program, '/environ')).text();
  expect(environ).toContain('GREETING=hi');
  expect(environ).toContain('PORT=8080');
  expect(environ).toContain('ALEPH_API_UNIX_SOCKET=/tmp/socat-socket');
});

test('vertical: stdout and stderr of the program are in its log, with the start that they belong to', async () => {
  const log = await node.logOf(program);
  expect(log).toContain('stdout: imported');
  expect(log).toContain('stderr: a warning');
  expect(log).toMatch(
    /platform: Started: queue \d+ ms, prepare \d+ ms, boot \d+ ms, load \d+ ms, total \d+ ms; from nothing/,
  );
});

async function rawGet(port: number, path: string, headers: Record<string, string>) {
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number;
    body: string;
    location?: string | undefined;
  }>();
  request({ port, path, headers, agent: false }, async (answer) => {
    resolve({ status: answer.statusCode ?? 0, body: await text(answer), location: answer.headers.location });
  })
    .on('error', reject)
    .end();
  return promise;
}
