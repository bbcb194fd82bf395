import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PROGRAM_HOST, RawClient, startGateway } from '../../packages/node/src/gateway/testing.ts';

/** A row of smuggling/answers.json: what a program answers, and what its client may see of it. */
interface AnswerCase {
  name: string;
  answer: string;
  method?: string;
  /** The program ends its connection behind the answer. */
  end?: boolean;
  status?: number;
  body?: string;
  /** The client's connection ends within the answer, or the answer is refused: no whole one comes. */
  cut?: boolean;
  /** Whole lines, and text in no line. */
  has?: string[];
  lacks?: string[];
}

const { cases } = JSON.parse(readFileSync(join(import.meta.dirname, 'smuggling/answers.json'), 'utf8')) as {
  cases: AnswerCase[];
};
const fill = (text: string) =>
  text
    .replace(/\{headers (\d+)\}/g, (_, times) => 'x: y\r\n'.repeat(Number(times)))
    .replace(/\{interims (\d+)\}/g, (_, times) => 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(Number(times)))
    .replace(/\{(\d+)\}/g, (_, times) => 'a'.repeat(Number(times)));

let current: AnswerCase | undefined;
const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  socket.on('error', () => socket.destroy()).once('close', () => sockets.delete(socket));
  let bytes = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    bytes += chunk;
    if (!bytes.includes('\r\n\r\n')) return;
    if (bytes.includes(' /next ')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext');
    else socket[current?.end ? 'end' : 'write'](fill(current?.answer ?? ''), 'latin1');
    bytes = '';
  });
});
const it = await startGateway(() => {}, { tcp: server, seconds: 10 });
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await it[Symbol.asyncDispose]();
});

const ask = (method: string, path: string) =>
  new RawClient(it.port).send(
    `${method} ${path} HTTP/1.1`,
    `Host: ${PROGRAM_HOST}`,
    'X-Request-Id: mine',
    'Connection: close',
    '',
    '',
  );

/** Whether the bytes are one whole answer to a request of this method, and nothing more. */
function isWhole(answer: string, method: string): boolean {
  const end = answer.indexOf('\r\n\r\n');
  const [head, body] = [answer.slice(0, end), answer.slice(end + 4)];
  if (method === 'HEAD' || /^HTTP\/1\.1 (?:204|304) /.test(head)) return body === '';
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined) return body.length === Number(length);
  return /^(?:[\da-f]+\r\n[\s\S]*\r\n)?0\r\n(?:[\w-]+: [^\r\n]*\r\n)*\r\n$/i.test(body);
}

describe('answers', () => {
  test.each(cases.map((one) => [one.name, one] as const))('answers: %s', async (_name, one) => {
    current = one;
    const { method = 'GET' } = one;
    const got = await ask(method, '/hostile').closed();
    await it.idle();
    if (one.cut) expect(/^HTTP\/1\.1 502 /.test(got) || !isWhole(got, method)).toBe(true);
    else {
      expect(got).toMatch(new RegExp(`^HTTP/1\\.1 ${one.status} `));
      expect(got.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
      expect(isWhole(got, method)).toBe(true);
      expect(got.match(/^(?:content-length|transfer-encoding):/gim)?.length ?? 0).toBeLessThan(2);
    }
    if (one.status === 502) expect(got).toContain('"code":"ANSWER_BROKEN"');
    if (one.body !== undefined) expect(got.slice(got.indexOf('\r\n\r\n') + 4)).toBe(one.body);
    for (const line of one.has ?? []) expect(got.toLowerCase()).toContain(`\r\n${line}\r\n`);
    for (const words of one.lacks ?? []) expect(got.toLowerCase()).not.toContain(words);
    expect(got).not.toContain('poisoned');
    // Whatever was left on the kept connection, the next client gets its own answer.
    for (let times = 0; times < 3; times++)
      expect(await ask('GET', '/next').closed()).toMatch(/ 200 OK[\s\S]*\r\n\r\nnext$/);
  });
});

test('answers: is done with a program that sends interim answers without end, at the deadline', async () => {
  const flood = createServer((socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'));
    };
    socket.on('error', () => socket.destroy()).on('drain', more);
    socket.once('data', more);
  });
  await using flooded = await startGateway(() => {}, { tcp: flood, seconds: 0.3 });
  const client = new RawClient(flooded.port).send(
    'GET / HTTP/1.1',
    `Host: ${PROGRAM_HOST}`,
    'Connection: close',
    '',
    '',
  );
  expect(await client.closed()).toMatch(/^HTTP\/1\.1 504 [\s\S]*"REQUEST_TIMEOUT"/);
  expect(flooded.leases).toMatchObject({ taken: 1, given: 1, retired: 1 });
});
