import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { itemHashOf, parseEnvelope, verifySignature } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { publishPath } from '../framework/publish.ts';
import { officialRuntime, REPOSITORY } from '../framework/runtime.ts';

/** Makes the calls that it is asked for, over both doors, with nothing but what Python brings; one as it is imported. */
const PYTHON = `
import http.client, json, os, socket

class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["ALEPH_API_UNIX_SOCKET"])

def call(door, method, path, body=None, kind="application/json"):
    host = os.environ["ALEPH_API_HOST"].removeprefix("http://")
    connection = UnixConnection("localhost") if door == "unix" else http.client.HTTPConnection(host)
    try:
        connection.request(method, path, body, {"content-type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, type(error).__name__
    finally:
        connection.close()

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

/** The same with node:http, which every version of Node.js has. */
const NODE = `
import { request } from 'node:http';
import { text } from 'node:stream/consumers';

function call(door, method, path, body) {
  const { ALEPH_API_UNIX_SOCKET: socketPath, ALEPH_API_HOST: host } = process.env;
  const { hostname, port } = new URL(host);
  const to = door === 'unix' ? { socketPath } : { hostname, port };
  return new Promise((resolve, reject) => {
    const asked = request({ ...to, method, path }, (answer) => {
      text(answer).then((all) => resolve([answer.statusCode, all]), reject);
    });
    asked.on('error', reject).end(body);
  });
}

export default {
  async fetch(request) {
    const { call: asked } = await request.json();
    return new Response(JSON.stringify(await call(...asked)));
  },
};
`;
const SAVED = 'Saved for quick starts';
const DOORS = ['unix', 'http'] as const;

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ snapshotBudgetMiB: 2048 });
});
afterAll(async () => node[Symbol.asyncDispose]());

type Program = Awaited<ReturnType<TestNode['deploy']>>;

/** Has a program make one call; status 0 is that nothing was there to call. */
async function call(program: Program, ...args: string[]): Promise<{ status: number; body: string }> {
  const answer = await node.ask(program, '/', { method: 'POST', body: JSON.stringify({ call: args }) });
  const [status, body] = (await answer.json()) as [number, string];
  return { status, body };
}

async function json<T>(...args: Parameters<typeof call>): Promise<T> {
  const { status, body } = await call(...args);
  expect({ status, body }).toMatchObject({ status: 200 });
  return JSON.parse(body) as T;
}

const addressOf = async (program: Program) =>
  (await json<{ address: string }>(program, 'unix', 'GET', '/properties')).address;

/** What a machine of the program was made from. */
const wayOf = (answer: Response) => /desc="(\w+)"/.exec(answer.headers.get('server-timing') ?? '')?.[1];

/** All that a program of the reference system does with its host. */
async function exercise(program: Program): Promise<void> {
  for (const door of DOORS) {
    expect(await call(program, door, 'PUT', `/cache/${door}`, 'a value')).toMatchObject({ status: 200, body: 'true' });
    expect(await call(program, door, 'GET', `/cache/${door}`)).toEqual({ status: 200, body: 'a value' });
  }
  expect(await json(program, 'unix', 'GET', '/cache/?pattern=*')).toEqual(['http', 'unix']);
  expect(await json(program, 'unix', 'DELETE', '/cache/http')).toBe(1);

  const own = await json<{ item_hash?: string; message?: object }>(
    program,
    'http',
    'GET',
    `/api/v0/messages/${program}`,
  );
  expect(JSON.stringify(own)).toContain(program);

  const address = await addressOf(program);
  const item_content = JSON.stringify({ address, time: Date.now() / 1000, type: 'note', content: { from: program } });
  const item_hash = itemHashOf(item_content);
  const message = { chain: 'ETH', sender: address, type: 'POST', item_hash, item_content, item_type: 'inline' };
  const signed = parseEnvelope(await json(program, 'unix', 'POST', '/sign', JSON.stringify(message)));
  expect(verifySignature(signed)).toEqual({ ok: true });
  // As older clients do it.
  const data = { ...message, ...another(address) };
  const pub = JSON.stringify({ topic: 'ALEPH-TEST', data });
  await json(program, 'unix', 'POST', '/api/v0/ipfs/pubsub/pub', pub);
  expect((await fetch(`${node.url}/api/v0/messages/${data.item_hash}`)).status).toBe(200);
  // One that was signed before, and one that is signed as it is published.
  for (const [door, published] of [
    ['unix', signed],
    ['http', { ...message, ...another(address) }],
  ] as const) {
    const body = JSON.stringify({ sync: true, message: published });
    const { message_status } = await json<{ message_status: string }>(program, door, 'POST', '/api/v0/messages', body);
    expect(message_status).toBe('processed');
    const found = await (await fetch(`${node.url}/api/v0/messages/${published.item_hash}`)).json();
    expect(found).toMatchObject({ status: 'processed', message: { sender: address } });
  }
}

/** Has a program store a file in its own name, with the STORE that it has signed. */
async function publishFile(program: Program): Promise<void> {
  const address = await addressOf(program);
  const file = `the file of ${program}`;
  const item_hash = createHash('sha256').update(file).digest('hex');
  const item_content = JSON.stringify({ address, time: Date.now() / 1000, item_type: 'storage', item_hash });
  const message = await json<object>(program, 'unix', 'POST', '/sign', JSON.stringify({ type: 'STORE', item_content }));
  const part = (name: string, bytes: string) =>
    `--x\r\ncontent-disposition: form-data; name="${name}"; filename="f"\r\n\r\n${bytes}\r\n`;
  const form = `${part('metadata', JSON.stringify({ message, sync: true }))}${part('file', file)}--x--\r\n`;
  const stored = await call(
    program,
    'http',
    'POST',
    '/api/v0/storage/add_file',
    form,
    'multipart/form-data; boundary=x',
  );
  expect(stored).toMatchObject({ status: 200 });
  expect(await call(program, 'unix', 'GET', `/api/v0/storage/raw/${item_hash}`)).toEqual({ status: 200, body: file });
}

function another(address: string) {
  const item_content = JSON.stringify({ address, time: Date.now() / 1000, type: 'note', content: { another: true } });
  return { item_content, item_hash: itemHashOf(item_content) };
}

test('guest API: a Python program has cache, messages and a key of its own, over both doors', async () => {
  const program = await node.deploy({ 'main.py': PYTHON }, { snapshot: false });
  await exercise(program);
  await publishFile(program);
  const address = await addressOf(program);
  const { imported, environment } = (await (await node.ask(program)).json()) as {
    imported: [number, string];
    environment: Record<string, string>;
  };
  // Before its program was there to be asked, it was there to be called.
  expect([imported[0], JSON.parse(imported[1])]).toEqual([200, expect.objectContaining({ address })]);
  expect(environment).toMatchObject({
    ALEPH_API_HOST: 'http://localhost:4024',
    ALEPH_API_UNIX_SOCKET: '/tmp/socat-socket',
    ALEPH_REMOTE_CRYPTO_HOST: 'http://localhost:4024',
    ALEPH_REMOTE_CRYPTO_UNIX_SOCKET: '/tmp/socat-socket',
    ALEPH_ADDRESS_TO_USE: address,
  });
});

test('guest API: a program for Node.js has the same', async () => {
  const { imagePath, manifest } = await officialRuntime('debian-11-node');
  const runtime = await publishPath(node, imagePath, manifest);
  await exercise(await node.deploy({ 'index.mjs': NODE }, { runtime, entrypoint: 'index.mjs', snapshot: false }));
});

test('guest API: clones call at once, each as the program that it is of', async () => {
  const programs = await Promise.all(['one', 'two'].map((name) => node.deploy({ 'main.py': `${PYTHON}# ${name}\n` })));
  const addresses: string[] = [];
  for (const program of programs) {
    await node.logSays(program, SAVED);
    const first = await node.ask(program);
    expect(wayOf(first)).toBe('program');
    const { environment } = (await first.json()) as { environment: Record<string, string> };
    const address = await addressOf(program);
    expect(environment.ALEPH_ADDRESS_TO_USE).toBe(address);
    await call(program, 'unix', 'PUT', '/cache/mine', address);
    // Another clone of it, with the same key and cache.
    await node.endMachine(program);
    expect(wayOf(await node.ask(program))).toBe('program');
    expect(await call(program, 'http', 'GET', '/cache/mine')).toEqual({ status: 200, body: address });
    expect(await addressOf(program)).toBe(address);
    addresses.push(address);
  }
  expect(addresses[0]).not.toBe(addresses[1]);
});

test('guest API: a machine that was paused goes on to call', async () => {
  const program = await node.deploy({ 'main.py': `${PYTHON}# paused\n` }, { snapshot: false });
  const address = await addressOf(program);
  await node.owner(`/programs/${program}/cool?to=paused`, 'POST');
  expect(await addressOf(program)).toBe(address);
});

test('guest API: where a message asks for none there is nothing to call, and no key', async () => {
  const program = await node.deploy({ 'main.py': `${PYTHON}# none\n` }, { guestApi: false, snapshot: false });
  expect(await call(program, 'unix', 'GET', '/properties')).toEqual({ status: 0, body: 'FileNotFoundError' });
  expect(await call(program, 'http', 'GET', '/properties')).toEqual({ status: 0, body: 'ConnectionRefusedError' });
});

test('guest API: the guide’s programs do what it says', async () => {
  const guide = await readFile(join(REPOSITORY, 'docs/guides/guest-api.md'), 'utf8');
  const codeOf = (language: string) => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(guide)?.[1] ?? '';
  const { imagePath, manifest } = await officialRuntime('debian-11-node');
  const runtime = await publishPath(node, imagePath, { ...manifest });
  const programs = [
    await node.deploy({ 'main.py': codeOf('python') }, { snapshot: false }),
    await node.deploy({ 'index.mjs': codeOf('js') }, { runtime, entrypoint: 'index.mjs', snapshot: false }),
  ];
  for (const program of programs) {
    expect(await (await node.ask(program)).text()).toBe('visitor 1\n');
    expect(await (await node.ask(program)).text()).toBe('visitor 2\n');
    const published = await node.ask(program, '/publish');
    expect(await published.json()).toMatchObject({ message_status: 'processed' });
  }
});
