import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

/** Says what comes of a connection: what it was sent, or why there is none. `/keep` opens one at import. */
const PROGRAM = `
import os, socket

def look(host, port):
    try:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            return connection.recv(100).decode() or "nothing"
    except OSError as error:
        return type(error).__name__ + " " + os.strerror(error.errno or 0)

kept = os.environ.get("KEEP")
if kept:
    kept = socket.create_connection(tuple(kept.split(":")), timeout=5)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    _, host, port = scope["path"].split("/")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": look(host, port).encode()})
`;

/** Answers whoever connects with a word, and keeps the connection for those that wait. */
const ELSEWHERE = `
import { createServer } from 'node:net';
const server = createServer((socket) => void socket.on('error', () => {}).write('elsewhere'));
server.listen(0, process.argv[1], () => console.log(server.address().port));
`;

/** A network beyond the host's own, which is all that a namespace is: one server, by an address of no machine. */
class Elsewhere implements AsyncDisposable {
  readonly #name = `vmlet-test-${randomBytes(3).toString('hex')}`;
  readonly #block = randomInt(0, 60) * 4;
  readonly host = `198.51.100.${this.#block + 1}`;
  readonly address = `203.0.113.${this.#block + 1}`;
  port = '';
  #server: ChildProcess | undefined;

  async open(): Promise<void> {
    const link = this.#name.slice(-6);
    const [gateway, inside] = [`198.51.100.${this.#block + 2}`, ['-n', this.#name]];
    ip('netns', 'add', this.#name);
    ip('link', 'add', `h${link}`, 'type', 'veth', 'peer', 'name', `n${link}`, 'netns', this.#name);
    ip('addr', 'add', `${this.host}/30`, 'dev', `h${link}`);
    ip('link', 'set', `h${link}`, 'up');
    ip(...inside, 'addr', 'add', `${gateway}/30`, 'dev', `n${link}`);
    ip(...inside, 'link', 'set', `n${link}`, 'up');
    ip(...inside, 'link', 'set', 'lo', 'up');
    ip(...inside, 'addr', 'add', `${this.address}/32`, 'dev', 'lo');
    ip('route', 'add', `${this.address}/32`, 'via', gateway);
    const command = [process.execPath, '--input-type=module', '-e', ELSEWHERE, this.address];
    const server = spawn('ip', ['netns', 'exec', this.#name, ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#server = server;
    [this.port] = await once(createInterface({ input: server.stdout ?? Readable.from([]) }), 'line');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server?.kill('SIGKILL')) await once(this.#server, 'exit');
    ip('netns', 'del', this.#name);
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

let elsewhere: Elsewhere;
let node: TestNode;
beforeAll(async () => {
  elsewhere = new Elsewhere();
  await elsewhere.open();
  node = await startTestNode();
});
afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await elsewhere?.[Symbol.asyncDispose]();
});

const look = async (program: ItemHash, host: string, port: string | number, at = node) =>
  (await at.ask(program, `/${host}/${port}`)).text();

describe('programs that ask for the internet', () => {
  test('internet: is reached, and neither the host nor its networks', async () => {
    const program = await node.deploy({ 'main.py': PROGRAM }, { internet: true });
    expect(await look(program, elsewhere.address, elsewhere.port)).toBe('elsewhere');
    const own = createServer((socket) => socket.end('the host')).listen(0);
    await once(own, 'listening');
    const address = own.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    for (const host of [elsewhere.host, '10.0.2.2', '127.0.0.1', '169.254.169.254'])
      expect(await look(program, host, port), host).toMatch(/^(?:OSError|ConnectionRefusedError|TimeoutError)/);
    own.close();
  });

  test('internet: is there for those that ask for it only', async () => {
    const program = await node.deploy({ 'main.py': PROGRAM });
    expect(await look(program, elsewhere.address, elsewhere.port)).toBe('OSError Network is unreachable');
    expect(await node.logOf(program)).not.toContain('It asks for the internet');
  });

  test('internet: is given to nobody, where the operator says so, and the log says that', async () => {
    await using other = await startTestNode({ internet: 'none' });
    const program = await other.deploy({ 'main.py': PROGRAM }, { internet: true });
    expect(await look(program, elsewhere.address, elsewhere.port, other)).toBe('OSError Network is unreachable');
    expect(await other.logOf(program)).toContain('platform: It asks for the internet and has none here');
  });
});

describe('snapshots of programs that ask for the internet', () => {
  test('internet: is there for a machine from a snapshot', async () => {
    await using it = await startTestNode({ snapshotBudgetMiB: 2048 });
    const program = await it.deploy({ 'main.py': PROGRAM }, { internet: true });
    await it.logSays(program, 'Saved for quick starts');
    const answer = await it.ask(program, `/${elsewhere.address}/${elsewhere.port}`);
    expect(await answer.text()).toBe('elsewhere');
    expect(answer.headers.get('server-timing')).toContain('desc="program"');
  });

  test('internet: connections that are open as a machine is saved keep it from being saved, and its log says why', async () => {
    await using it = await startTestNode({ snapshotBudgetMiB: 2048 });
    const variables = { KEEP: `${elsewhere.address}:${elsewhere.port}` };
    const program = await it.deploy({ 'main.py': PROGRAM }, { internet: true, variables });
    await it.logSays(program, 'the program holds 1 connections to elsewhere open');
    expect(await look(program, elsewhere.address, elsewhere.port, it)).toBe('elsewhere');
  });
});
