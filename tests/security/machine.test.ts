import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RawClient } from '../../packages/node/src/gateway/testing.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';

/** Says what it has been asked so far, one line a request. */
const APP = `
seen = []

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    if scope["path"] == "/seen":
        answer = "\\n".join(seen)
    else:
        names = sorted(name.decode() for name, _ in scope["headers"])
        seen.append(f'{scope["method"]} {scope["raw_path"].decode()} {body!r} {",".join(names)}')
        answer = "ok"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer.encode()})
`;

const file = join(import.meta.dirname, 'smuggling/requests.json');
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as {
  cases: { name: string; bytes: string; refused?: number; guest?: { line: string; body?: string }[] }[];
};
/** Of each family, refused and passed on. */
const CHOSEN = [
  'CL.TE: both lengths',
  'TE.CL: both lengths, the other way round',
  'TE.TE: xchunked',
  'Content-Length: a plus',
  'chunks: a bare LF after the data',
  'two Hosts',
  'chunks: a smuggled request within is data',
  'chunks: an extension is left out',
  'trailers: none of them reaches the program',
  'a request as the body of GET',
  'Connection: content-length keeps the length',
  "path: an encoded line end are the program's own",
];

let node: TestNode;
let program: ItemHash;
beforeAll(async () => {
  node = await startTestNode();
  program = await node.deploy({ 'main.py': APP });
});
afterAll(async () => node[Symbol.asyncDispose]());

test('machine: a real program gets what was meant, once, and nothing of what was refused', async () => {
  const host = (await node.owner<{ programs: { hostUrl: string }[] }>('/programs')).programs[0]?.hostUrl ?? '';
  const port = Number(new URL(node.node.url).port);
  const fill = (text: string) => text.replaceAll('{host}', new URL(host).hostname).replaceAll('{program}', program);
  const chosen = CHOSEN.map((name) => cases.find((one) => one.name === name));
  const wanted: string[] = [];
  for (const one of chosen) {
    if (one === undefined) throw new Error('Cannot run a case: the corpus has no such name, expected all of them');
    const client = new RawClient(port).send(fill(one.bytes));
    if (one.refused === undefined) await client.until(/\r\n\r\n(?:2\r\n)?ok/);
    else expect(await client.closed()).toMatch(new RegExp(`^HTTP/1\\.1 ${one.refused} `));
    client.socket.destroy();
    for (const { line, body = '' } of one.guest ?? []) wanted.push(`${line.split(' ').slice(0, 2).join(' ')} ${body}`);
  }
  const seen = (await (await node.ask(program, '/seen')).text()).split('\n');
  expect(seen).toHaveLength(wanted.length);
  for (const [index, line] of seen.entries()) {
    const [, request = '', body = '', names = ''] = /^(\S+ \S+) b(["'].*["']) (\S+)$/.exec(line) ?? [];
    const text = body.slice(1, -1).replaceAll('\\r', '\r').replaceAll('\\n', '\n');
    expect(`${request} ${text}`).toBe(wanted[index]);
    expect(names.split(',').filter((name) => /^(?:host|content-length|transfer-encoding)$/.test(name))).toEqual(
      expect.arrayContaining(['host']),
    );
    expect(names).not.toMatch(/content-length,.*transfer-encoding|host,host|authorization/);
  }
});
