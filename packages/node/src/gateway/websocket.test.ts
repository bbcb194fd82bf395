import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { PROGRAM, PROGRAM_HOST, RawClient, rawServer, startGateway } from './testing.ts';

const HANDSHAKE = (path: string, host = PROGRAM_HOST) => [
  `GET ${path} HTTP/1.1`,
  `host: ${host}`,
  'connection: Upgrade',
  'upgrade: websocket',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version: 13',
  '',
  '',
];
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n';
const unused = () => {
  throw new TypeError('Cannot answer: a request came, expected an upgrade');
};

/** Takes the handshake, then sends back whatever comes. */
function echo(heads: string[]) {
  return createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (head) => {
      heads.push(head.toString('latin1'));
      socket.write(SWITCHING);
      socket.on('data', (data) => socket.write(data));
    });
  });
}

describe('websocket', () => {
  test('websocket: joins client and program byte by byte, and tells the program of the client', async () => {
    const heads: string[] = [];
    await using it = await startGateway(unused, { tcp: echo(heads) });
    const client = new RawClient(it.port).send(...HANDSHAKE('/chat?room=1'));
    await client.until(SWITCHING);
    client.send('\x81\x85frame');
    await client.until('\x81\x85frame');
    expect(heads[0]).toMatch(/^GET \/chat\?room=1 HTTP\/1\.1\r\n/);
    expect(heads[0]).toContain(`host: ${PROGRAM_HOST}\r\n`);
    expect(heads[0]).toContain('sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n');
    expect(heads[0]).toMatch(/forwarded: for=127\.0\.0\.1;/);
    expect(it.leases).toMatchObject({ taken: 1, given: 0 });
    client.socket.destroy();
    await it.idle();
    expect(it.leases).toMatchObject({ taken: 1, given: 1 });
  });

  test('websocket: gives the program’s own refusal to the client', async () => {
    const refusal = 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nx-mine: 1\r\n\r\nno';
    await using it = await startGateway(unused, { tcp: rawServer(refusal, { end: true }) });
    const client = new RawClient(it.port).send(...HANDSHAKE(`/vm/${PROGRAM}/chat`, 'localhost'));
    expect(await client.closed()).toBe(refusal);
    await it.idle();
  });

  test('websocket: sends nothing of the client’s on before the program has switched, and nothing at all if it refuses', async () => {
    const refusal = 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno';
    const got: string[] = [];
    const refusing = createServer((socket) => {
      socket.on('error', () => socket.destroy()).setEncoding('latin1');
      socket.on('data', (data: string) => {
        got.push(data);
        socket.write(`${refusal}HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npoisoned`);
      });
    });
    await using it = await startGateway(unused, { tcp: refusing });
    const smuggled = `GET /smuggled HTTP/1.1\r\nhost: ${PROGRAM_HOST}\r\nx-forwarded-for: 192.0.2.1\r\n\r\n`;
    const client = new RawClient(it.port).send(...HANDSHAKE('/'), smuggled);
    expect(await client.closed()).toBe(refusal);
    await it.idle();
    expect(got.join('')).not.toContain('smuggled');
    expect(got).toHaveLength(1);
  });

  test('websocket: passes over answers of 1xx, and ends with a program that answers no HTTP', async () => {
    const early = rawServer(`HTTP/1.1 103 Early Hints\r\n\r\n${SWITCHING}first`);
    await using it = await startGateway(unused, { tcp: early });
    const client = new RawClient(it.port).send(...HANDSHAKE('/'));
    expect(await client.until('first')).toBe(`${SWITCHING}first`);
    client.socket.destroy();
    await using odd = await startGateway(unused, { tcp: rawServer('SSH-2.0-x\r\n\r\n') });
    expect(await new RawClient(odd.port).send(...HANDSHAKE('/')).closed()).toBe('');
  });

  test('websocket: answers with a problem, when the program is unknown or the host is not ours', async () => {
    await using it = await startGateway(unused);
    const unknown = new RawClient(it.port).send(...HANDSHAKE(`/vm/${'0'.repeat(64)}/`, 'localhost'));
    expect(await unknown.closed()).toMatch(/^HTTP\/1\.1 404 .*PROGRAM_NOT_FOUND/s);
    const foreign = new RawClient(it.port).send(...HANDSHAKE('/', 'example.org'));
    expect(await foreign.closed()).toMatch(/^HTTP\/1\.1 404 .*HOST_UNKNOWN/s);
    expect(it.leases.taken).toBe(0);
  });

  test('websocket: ends with its program, and with the gateway', async () => {
    const broken = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const it = await startGateway(unused, { tcp: broken });
    await new RawClient(it.port).send(...HANDSHAKE('/')).closed();
    await it.idle();
    await it[Symbol.asyncDispose]();

    const alive = await startGateway(unused, { tcp: echo([]) });
    const client = new RawClient(alive.port).send(...HANDSHAKE('/'));
    await client.until(SWITCHING);
    await alive[Symbol.asyncDispose]();
    await client.closed();
  });

  test('websocket: gives up on a program that does not answer the handshake in its time', async () => {
    const silent = createServer((socket) => socket.on('error', () => socket.destroy()).resume());
    await using it = await startGateway(unused, { tcp: silent, seconds: 0.05 });
    expect(await new RawClient(it.port).send(...HANDSHAKE('/')).closed()).toBe('');
    await it.idle();
  });
});
