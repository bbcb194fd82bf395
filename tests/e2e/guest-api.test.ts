import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

/** Relays calls of its visitor to the host, over both doors, with nothing but what Python brings. */
const PROGRAM = `
import http.client, json, os, socket

class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["ALEPH_API_UNIX_SOCKET"])

def call(door, method, path, body=None):
    host = os.environ["ALEPH_API_HOST"].removeprefix("http://")
    connection = UnixConnection("localhost") if door == "unix" else http.client.HTTPConnection(host)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()

imported = call("unix", "GET", "/properties")

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = (await receive())["body"]
    asked = json.loads(body or "{}")
    if "call" in asked:
        answer = call(*asked["call"])
    else:
        answer = {"imported": imported, "environment": dict(os.environ)}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
`;

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ snapshotBudgetMiB: 2048 });
});
afterAll(async () => node[Symbol.asyncDispose]());

test('guest API: a program has a cache, over the Unix socket and over HTTP', async () => {
  const program = await node.deploy({ 'main.py': PROGRAM });
  const call = async (...args: string[]) =>
    (await node.ask(program, '/', { method: 'POST', body: JSON.stringify({ call: args }) })).json();
  expect(await call('unix', 'PUT', '/cache/one', 'first')).toEqual([200, 'true']);
  expect(await call('http', 'GET', '/cache/one')).toEqual([200, 'first']);
  await node.logSays(program, 'Saved for quick starts');
  await node.endMachine(program);
  const answer = await node.ask(program);
  expect(await call('unix', 'GET', '/cache/one')).toEqual([200, 'first']);
});
