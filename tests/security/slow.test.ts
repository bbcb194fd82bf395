import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { PROGRAM_HOST, RawClient, rawServer, startGateway } from '../../packages/node/src/gateway/testing.ts';

const HEAD = ['GET / HTTP/1.1', `Host: ${PROGRAM_HOST}`];
const ok = () => {
  throw new TypeError('Cannot answer: a request came, expected none');
};
const answering = () => rawServer('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
const limited = (limits: Record<string, number>, more: { trustForwarded?: boolean } = {}) => ({
  tcp: answering(),
  config: { limits, ...more },
});

describe('slow clients', () => {
  test('slow: answers 408 and closes, when a head does not end in its time; no machine is asked', async () => {
    await using it = await startGateway(ok, limited({ headMs: 200 }));
    const many = Array.from({ length: 50 }, () => new RawClient(it.port).send(...HEAD, 'X: '));
    for (const client of many) {
      expect(await client.closed()).toMatch(/^HTTP\/1\.1 408 [\s\S]*problem\+json[\s\S]*"code":"REQUEST_TOO_SLOW"/);
    }
    expect(it.leases.taken).toBe(0);
  });

  test('slow: serves others, while many hold back the end of their heads', async () => {
    await using it = await startGateway(ok, { tcp: answering() });
    const many = Array.from({ length: 200 }, () => new RawClient(it.port).send(...HEAD, 'X: '));
    await Promise.all(many.map(({ socket }) => once(socket, 'connect')));
    const client = new RawClient(it.port).send(...HEAD, 'Connection: close', '', '');
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 200 /);
    for (const { socket } of many) socket.destroy();
  });

  test('slow: answers 408 and gives the place back, when a body stops coming', async () => {
    const upstream = createServer((request: IncomingMessage) => void request.on('error', () => {}).resume());
    await using it = await startGateway(ok, { tcp: upstream, config: { limits: { stallMs: 200 } } });
    const client = new RawClient(it.port);
    client.send('POST / HTTP/1.1', `Host: ${PROGRAM_HOST}`, 'content-length: 100', '', 'some');
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"REQUEST_TOO_SLOW"/);
    await it.idle();
    expect(it.leases).toMatchObject({ taken: 1, given: 1, retired: 0 });
  });

  test('slow: waits for a program that takes longer than a client may', async () => {
    const may = Promise.withResolvers<void>();
    const upstream = createServer(async (request, response) => {
      request.resume();
      await may.promise;
      response.end('late');
    });
    await using it = await startGateway(ok, { tcp: upstream, config: { limits: { stallMs: 50 } } });
    const patient = new RawClient(it.port).send(...HEAD, 'Connection: close', '', '');
    // Its own stall is over several times before it is cut.
    const stalled = new RawClient(it.port);
    stalled.send('POST / HTTP/1.1', `Host: ${PROGRAM_HOST}`, 'content-length: 100', '', 'some');
    expect(await stalled.closed()).toMatch(/^HTTP\/1\.1 408 /);
    may.resolve();
    expect(await patient.closed()).toMatch(/^HTTP\/1\.1 200 [\s\S]*late/);
  });

  test('slow: cuts a client that does not read its answer, and gives the place back', async () => {
    const asked = Promise.withResolvers<void>();
    const upstream = createServer((_request, response) => {
      asked.resolve();
      const chunk = Buffer.alloc(256 * 1024);
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    await using it = await startGateway(ok, { tcp: upstream, config: { limits: { stallMs: 200 } } });
    const client = new RawClient(it.port);
    client.socket.pause();
    client.send(...HEAD, '', '');
    await asked.promise;
    await it.idle();
    expect(it.leases).toMatchObject({ taken: 1, given: 1, retired: 0 });
    client.socket.destroy();
  });

  test('slow: ends a WebSocket that is silent on both sides, and gives the place back', async () => {
    const tcp = rawServer('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    await using it = await startGateway(ok, { tcp, config: { limits: { webSocketIdleMs: 100 } } });
    const client = new RawClient(it.port).send(...HEAD, 'Connection: Upgrade', 'Upgrade: websocket', '', '');
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 101 /);
    await it.idle();
  });

  test('slow: closes a kept connection on which nothing comes', async () => {
    await using it = await startGateway(ok, limited({ stallMs: 100 }));
    const silent = new RawClient(it.port);
    expect(await silent.closed()).toBe('');
  });
});

describe('many connections', () => {
  test('connections: answers 429 to one too many of an address, and takes one again when another is closed', async () => {
    await using it = await startGateway(ok, limited({ connectionsPerClient: 2 }));
    const [first, second] = [new RawClient(it.port), new RawClient(it.port)];
    for (const client of [first, second]) await client.send(...HEAD, '', '').until('ok');
    const third = await new RawClient(it.port).closed();
    expect(third).toMatch(/^HTTP\/1\.1 429 [\s\S]*retry-after: \d+[\s\S]*"code":"TOO_MANY_CONNECTIONS"/);
    await first.send(...HEAD, 'Connection: close', '', '').closed();
    await new RawClient(it.port).send(...HEAD, '', '').until('ok');
    second.socket.destroy();
  });

  test('connections: are not counted behind a proxy, whose address all clients share', async () => {
    await using it = await startGateway(ok, limited({ connectionsPerClient: 1 }, { trustForwarded: true }));
    const clients = [new RawClient(it.port), new RawClient(it.port), new RawClient(it.port)];
    for (const client of clients) await client.send(...HEAD, '', '').until('ok');
    for (const { socket } of clients) socket.destroy();
  });

  test('connections: one that sends far ahead of its answers is closed, and holds one place until then', async () => {
    const may = Promise.withResolvers<void>();
    const upstream = createServer(async (_request, response) => {
      await may.promise;
      response.end('ok');
    });
    await using it = await startGateway(ok, { tcp: upstream });
    const ahead = new RawClient(it.port).send([...HEAD, '', ''].join('\r\n').repeat(10));
    const greedy = new RawClient(it.port).send([...HEAD, '', ''].join('\r\n').repeat(100));
    expect(await greedy.closed()).toBe('');
    expect(it.leases.taken).toBeLessThan(3);
    may.resolve();
    await ahead.until(/(ok[\s\S]*){10}/);
    ahead.socket.destroy();
  });
});
