import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { itemHashOf } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { PROGRAM, startGuestApi } from '../../packages/node/src/guest-api/testing.ts';
import { fuzz, fuzzTimeoutMs } from './engine.ts';

const request = (head: string, body = '') =>
  Buffer.from(
    `${head} HTTP/1.1\r\nhost: x\r\n${body ? `content-length: ${Buffer.byteLength(body)}\r\n` : ''}\r\n${body}`,
  );

function corpusFor(address: string): Buffer[] {
  const item_content = JSON.stringify({ address, time: 1, type: 'note', content: {} });
  const message = { chain: 'ETH', sender: address, type: 'POST', item_content, item_hash: itemHashOf(item_content) };
  const draft = JSON.stringify(message);
  const single = [
    request('GET /properties'),
    request('PUT /cache/key?ttl=60', 'value'),
    request('GET /cache/key'),
    request('HEAD /cache/key'),
    request('DELETE /cache/key'),
    request('GET /cache/?pattern=k*y?'),
    request('POST /sign', draft),
    request('POST /api/v0/messages', `{"sync":true,"message":${draft}}`),
    request('POST /api/v0/ipfs/pubsub/pub', `{"topic":"T","data":${draft}}`),
    request('POST /api/v0/p2p/pubsub/pub', JSON.stringify({ topic: 'T', data: draft })),
    request('GET /api/v0/messages.json?pagination=1'),
    request('POST /api/v0/storage/add_json', '{"a":1}'),
    Buffer.from('PUT /cache/key HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'),
  ];
  return [...single, Buffer.concat(single.slice(0, 3)), Buffer.concat(single.slice(6, 9))];
}

const DICTIONARY = [
  ...[
    'GET ',
    'PUT ',
    'POST ',
    'OPTIONS ',
    'CONNECT ',
    ' HTTP/1.1\r\n',
    ' HTTP/1.0\r\n',
    '\r\n\r\n',
    '%',
    '%00',
    '..',
    '//',
  ],
  ...['/cache/', '/sign', '/api/v0/', '?ttl=', '?pattern=', 'transfer-encoding: chunked\r\n', 'content-length: 5\r\n'],
  ...['expect: 100-continue\r\n', 'upgrade: websocket\r\nconnection: upgrade\r\n', 'cache-control: max-age=1\r\n'],
  ...['null', '{}', '[', '"signature":"0x"', '"item_hash":', '"type":"PROGRAM"', '1e999', '\\ud800', '__proto__'],
];

test(
  'guest API: a program gets whole answers or a cut connection, never an error of the node, whatever it sends',
  async () => {
    let hours = 0;
    await using it = await startGuestApi({ nowMs: () => 3_600_000 * hours });
    const { address } = (await it.call('/properties')).json as { address: string };
    const secret = (await readFile(join(it.keys, `${PROGRAM}.key`), 'utf8')).trim();
    await fuzz({
      name: 'guest-calls',
      corpus: corpusFor(address),
      dictionary: DICTIONARY,
      maxBytes: 16_384,
      async run(input, random) {
        hours++;
        it.passed.length = 0;
        const stream = await it.open();
        for (const piece of random.cut(input)) stream.write(piece);
        stream.end();
        const got = await allOf(stream);
        expect(got === '' || /^HTTP\/1\.1 [1-5]\d\d /.test(got)).toBe(true);
        expect(got).not.toContain(secret);
        expect(it.failures).toEqual([]);
      },
    });
  },
  fuzzTimeoutMs('guest-calls'),
);

/** What comes until the node has ended the stream. */
async function allOf(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve) => {
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream
      .once('end', resolve)
      .once('close', resolve)
      .once('error', () => resolve());
  });
  stream.destroy();
  return Buffer.concat(chunks).toString('latin1');
}
