import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../packages/cli/src/testing.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { publishPost } from '../framework/publish.ts';

/** Keeps what it is told of, whatever it comes as; refuses what says so, until it has refused it often enough. */
const PROGRAM = `
import json
seen = []
refused = {}
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("none")
    if scope["type"] == "aleph.message":
        message = json.loads((await receive())["body"])
        seen.append(["scope", message["content"]["content"]])
        await send({"result": "Good"})
        return
    status, body = 200, b""
    if scope["method"] == "POST":
        while True:
            part = await receive()
            body += part["body"]
            if not part["more_body"]:
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        seen.append([scope["path"], headers, json.loads(body)])
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
`;
/** The same, but for the scope, which it does not know. */
const HTTP_PROGRAM = PROGRAM.replace('"aleph.message"', '"never"').replace(
  '    status, body',
  '    assert scope["type"] == "http"\n    status, body',
);

/** Takes nothing until it is asked for `/take`. */
const REFUSING = `
takes = False
async def app(scope, receive, send):
    global takes
    assert scope["type"] == "http"
    if scope["path"] == "/take":
        takes = True
    await send({"type": "http.response.start", "status": 200 if takes else 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})
`;

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ triggerRetries: { maxTries: 3, backOffMs: 10, maxBackOffMs: 20 } });
});
afterAll(() => node[Symbol.asyncDispose]());

describe('triggers', () => {
  test('triggers: a program is sent what it listens to, and nothing else, as a CloudEvent over HTTP', async () => {
    const onMessage = [{ channel: 'HEARD', type: 'POST' }];
    const metadata = { on_message_path: '/on/message?a=b' };
    await publishPost(node, 'before it was there', { channel: 'HEARD' });
    const program = await node.deploy({ 'main.py': HTTP_PROGRAM }, { onMessage, metadata });
    const first = await publishPost(node, { n: 1 }, { channel: 'HEARD' });
    await publishPost(node, { n: 2 }, { channel: 'OTHER' });
    await node.logSays(program, `Took the message ${first.slice(0, 12)} (POST)`);
    const seen = (await (await node.ask(program)).json()) as [string, Record<string, string>, object][];
    expect(seen).toEqual([
      [
        '/on/message',
        expect.objectContaining({
          'content-type': 'application/json',
          'ce-specversion': '1.0',
          'ce-id': first,
          'ce-type': 'cloud.aleph.message.post',
          'ce-source': `/ETH/${node.signer.address}`,
          'ce-time': expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
          'ce-channel': 'HEARD',
          'ce-attempt': '1',
          'x-vmlet-event': 'aleph.message',
        }),
        expect.objectContaining({ item_hash: first, content: expect.objectContaining({ content: { n: 1 } }) }),
      ],
    ]);
  });

  test('triggers: an ASGI program of the reference system receives it in its scope, and visitors cannot send such a thing', async () => {
    const program = await node.deploy({ 'main.py': PROGRAM }, { onMessage: [{ content: { type: 'note' } }] });
    const message = await publishPost(node, 'told', { type: 'note' });
    await node.logSays(program, `Took the message ${message.slice(0, 12)} (POST)`);
    const forged = {
      method: 'POST',
      body: '{}',
      headers: { 'X-Vmlet-Event': 'aleph.message', x_vmlet_event: 'aleph.message' },
    };
    const seen = (await (await node.ask(program, '/forged', forged)).json()) as [string, unknown][];
    expect(seen[0]).toEqual(['scope', 'told']);
    expect(seen[1]?.[0]).toBe('/forged');
    expect(JSON.stringify(seen[1]?.[1])).not.toContain('vmlet');
  });

  test('triggers: a program with on.http: false is told of messages, and visitors are told that it is not for them', async () => {
    const program = await node.deploy({ 'main.py': PROGRAM }, { onMessage: [{ channel: 'QUIET' }], http: false });
    const message = await publishPost(node, 'told', { channel: 'QUIET' });
    await node.logSays(program, `Took the message ${message.slice(0, 12)} (POST)`);
    for (const headers of [{}, { accept: 'text/html' }]) {
      const answer = await node.ask(program, '/', { headers });
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([404, 'PROGRAM_NOT_HTTP']);
    }
  });

  test('triggers: a program that does not take a message is told again, and its dead letters are listed and sent again', async () => {
    const program = await node.deploy({ 'main.py': REFUSING }, { onMessage: [{ channel: 'REFUSED' }] });
    const message = await publishPost(node, 'told', { channel: 'REFUSED' });
    await node.logSays(program, 'Try 3 of 3, a dead letter now');
    const vmlet = (...args: string[]) => runCli(args, { env: { VMLET_HOME: node.home } });
    const { stdout } = await vmlet('triggers', 'dead', program, '--json');
    const { deliveries } = JSON.parse(stdout);
    expect(deliveries).toEqual([expect.objectContaining({ program, message, tries: 3 })]);
    expect((await vmlet('triggers', 'dead')).stdout).toMatch(/status 503, expected 200 to 299/);
    expect((await vmlet('triggers')).stdout).toMatch(
      new RegExp(`${program.slice(0, 12)} +0 +1 +{"channel":"REFUSED"}`),
    );
    // From here on it takes them.
    await node.ask(program, '/take');
    expect((await vmlet('triggers', 'retry', String(deliveries[0].id))).exitCode).toBe(0);
    await node.logSays(program, `Took the message ${message.slice(0, 12)} (POST)`);
    expect(JSON.parse((await vmlet('triggers', 'dead', '--json')).stdout)).toEqual({ deliveries: [] });
    const { exitCode, stderr } = await vmlet('triggers', 'retry', String(deliveries[0].id));
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('there is none that is dead'),
    });
  });
});
