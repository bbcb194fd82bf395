import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { forget } from '../framework/publish.ts';

/** Does to its host what it is told to by the path, beside a decent call at "/". */
const PROGRAM = `
import asyncio, json, os, socket

DOOR = os.environ["ALEPH_API_UNIX_SOCKET"]
held = []

def dial(data=b""):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(DOOR)
    sock.sendall(data)
    return sock

def ask(data):
    with dial(data) as sock:
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
        return answer.decode("latin1")

def put(value):
    return ask(b"PUT /cache/key HTTP/1.1\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(value), value))

def hold(data, count):
    for _ in range(count):
        held.append(dial(data))
    return str(len(held))

def knock(count):
    for _ in range(count):
        try:
            dial(b"x").close()
        except OSError:
            pass
    return "knocked"

def free():
    while held:
        held.pop().close()
    return "free"

def sign(address):
    content = json.dumps({"address": address, "time": 1, "type": "note", "content": {}})
    body = json.dumps({"type": "POST", "item_content": content}).encode()
    head = b"POST /sign HTTP/1.1\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body)
    return ask(head + body)

ACTS = {
    "/": lambda: put(b"decent"),
    "/huge": lambda: put(b"x" * (2 * 1024 * 1024)),
    "/heads": lambda: hold(b"GET /properties HTTP/1.1\\r\\nx: ", 64),
    "/unread": lambda: hold(b"GET /properties HTTP/1.1\\r\\n\\r\\n" * 200, 16),
    "/knock": lambda: knock(400),
    "/free": free,
}

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]
    act = ACTS.get(path) or (lambda: sign(path.removeprefix("/sign/")))
    answer = await asyncio.to_thread(act)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer.encode("latin1")})
`;

let node: TestNode;
let hostile: ItemHash;
let decent: ItemHash;

beforeAll(async () => {
  node = await startTestNode();
  hostile = await node.deploy({ 'main.py': PROGRAM });
  decent = await node.deploy({ 'main.py': `${PROGRAM}# decent\n` });
});
afterAll(async () => node[Symbol.asyncDispose]());

const act = async (program: ItemHash, path: string) => await (await node.ask(program, path)).text();
const OK = /^HTTP\/1\.1 200 OK[\s\S]*true$/;

test('guest API: one that holds all its calls, half said or with answers unread, holds up itself alone', async () => {
  expect(await act(hostile, '/')).toMatch(OK);
  expect(await act(hostile, '/heads')).toBe('64');
  expect(await act(decent, '/')).toMatch(OK);
  // Its visitors are served: only what it wants of its host stands in line.
  expect(await act(hostile, '/free')).toBe('free');
  expect(await act(hostile, '/unread')).toBe('16');
  expect(await act(decent, '/')).toMatch(OK);
  expect(await act(hostile, '/free')).toBe('free');
  expect(await act(hostile, '/')).toMatch(OK);
});

test('guest API: one that knocks in a loop is let in now and then, and the node serves everybody else', async () => {
  const knocking = act(hostile, '/knock');
  expect(await act(decent, '/')).toMatch(OK);
  expect(await knocking).toBe('knocked');
  expect(await act(hostile, '/')).toMatch(OK);
});

test('guest API: refuses a value that is too large, whether or not it is read to its end', async () => {
  expect(await act(hostile, '/huge')).toMatch(/^HTTP\/1\.1 413 [\s\S]*"code":"CACHE_VALUE_TOO_LARGE"/);
  expect(await act(hostile, '/')).toMatch(OK);
});

test('guest API: signs for nobody else: not for the owner, not for another program', async () => {
  for (const other of [node.signer.address, decent, '0x0000000000000000000000000000000000000000']) {
    expect(await act(hostile, `/sign/${other}`)).toMatch(/^HTTP\/1\.1 4\d\d /);
  }
});

test('guest API: what a program had is gone when it is removed', async () => {
  expect(await act(hostile, '/')).toMatch(OK);
  await forget(node, [hostile]);
  expect((await node.ask(hostile)).status).toBe(404);
  expect(await act(decent, '/')).toMatch(OK);
});
