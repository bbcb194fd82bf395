import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PROGRAM, PROGRAM_HOST, RawClient, startGateway } from '../../packages/node/src/gateway/testing.ts';
import { Recorder } from '../security/recorder.ts';
import { fuzz, fuzzTimeoutMs } from './engine.ts';

const SMUGGLING = join(import.meta.dirname, '../security/smuggling');
const read = (name: string) =>
  JSON.parse(readFileSync(join(SMUGGLING, name), 'utf8')) as { cases: { bytes?: string; answer?: string }[] };
const fill = (text: string) =>
  Buffer.from(
    text
      .replaceAll('{host}', PROGRAM_HOST)
      .replaceAll('{HOST}', PROGRAM_HOST.toUpperCase())
      .replaceAll('{program}', PROGRAM)
      .replace(/\{headers \d+\}|\{interims \d+\}/g, 'x: y\r\n')
      .replace(/\{\d+\}/g, 'aaaa'),
    'latin1',
  );

const DICTIONARY = [
  ...['\r\n', '\n', '\r', '\r\n\r\n', ' ', '\t', '\0', ':', '\x0b', '\xa0', '0', '0x', '+', '-', ',', ';'],
  ...['Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'transfer-encoding: identity\r\n', '0\r\n\r\n'],
  ...[
    'Host: localhost\r\n',
    'Connection: close\r\n',
    'Connection: Upgrade\r\nUpgrade: websocket\r\n',
    'Upgrade: h2c\r\n',
  ],
  ...['GET /x HTTP/1.1\r\n', 'POST ', 'HEAD ', 'HTTP/1.0', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ...['Expect: 100-continue\r\n', 'HTTP/1.1 101 x\r\n', 'HTTP/1.1 204 x\r\n', 'HTTP/1.1 304 x\r\n', '1;a=b\r\n'],
];

test(
  'requests: a program gets whole, unambiguous requests only, whatever a client sends',
  async () => {
    const recorder = new Recorder();
    const limits = { headMs: 1000, stallMs: 1000, webSocketIdleMs: 1000 };
    await using it = await startGateway(() => {}, { tcp: recorder.server, seconds: 2, config: { limits } });
    await fuzz({
      name: 'requests',
      corpus: read('requests.json').cases.map(({ bytes = '' }) => fill(bytes)),
      dictionary: DICTIONARY,
      maxBytes: 16_384,
      async run(input, random) {
        recorder.clear();
        const client = new RawClient(it.port);
        for (const piece of random.cut(input)) client.socket.write(piece);
        client.socket.end();
        const answer = await client.closed();
        await it.idle();
        expect(recorder.faults).toEqual([]);
        if (answer !== '') expect(answer).toMatch(/^HTTP\/1\.1 [1-5]\d\d /);
        expect(answer).not.toMatch(/ 500 /);
        expect(it.leases.given).toBe(it.leases.taken);
      },
    });
  },
  fuzzTimeoutMs('requests'),
);

test(
  'answers: a client gets one whole answer, a problem or a cut connection, whatever a program sends',
  async () => {
    let answer: Buffer = Buffer.alloc(0);
    const tcp = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', (head) => {
        if (String(head).includes(' /next ')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext');
        else socket.end(answer);
      });
    });
    await using it = await startGateway(() => {}, { tcp, seconds: 5 });
    const ask = (method: string, path: string) =>
      new RawClient(it.port)
        .send(`${method} ${path} HTTP/1.1`, `Host: ${PROGRAM_HOST}`, 'Connection: close', '', '')
        .closed();
    await fuzz({
      name: 'answers',
      corpus: read('answers.json').cases.map(({ answer: bytes = '' }) => fill(bytes)),
      dictionary: DICTIONARY,
      async run(input, random) {
        answer = input;
        const got = await ask(random.pick(['GET', 'GET', 'HEAD', 'POST']), '/');
        await it.idle();
        expect(it.leases.given).toBe(it.leases.taken);
        // Cut before the head of the answer was sent, as it waits for the first byte of the body.
        if (got === '') return;
        expect(got).toMatch(/^HTTP\/1\.1 [2-5]\d\d /);
        expect(got).not.toMatch(/^HTTP\/1\.1 500 [\s\S]*"code":"INTERNAL"/);
        const head = got.slice(0, got.indexOf('\r\n\r\n'));
        expect(head).toMatch(/\r\nx-request-id: /i);
        expect(head.match(/^(?:content-length|transfer-encoding):/gim)?.length ?? 0).toBeLessThan(2);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(head.replaceAll('\r\n', '')).not.toMatch(/[\u0000-\u0008\u000a-\u001f\u007f]/);
        if (random.below(8) === 0) expect(await ask('GET', '/next')).toMatch(/ 200 OK[\s\S]*\r\n\r\nnext$/);
      },
    });
  },
  fuzzTimeoutMs('answers'),
);
