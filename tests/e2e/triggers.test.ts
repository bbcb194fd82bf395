import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
});
