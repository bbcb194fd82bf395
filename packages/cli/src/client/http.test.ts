import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../testing.ts';
import { expectStatus, readText, send } from './http.ts';
import { OwnerClient } from './owner.ts';

const { signal } = new AbortController();

async function serve(listener: RequestListener, path?: string) {
  const server = createServer(listener).listen(path ?? { host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function* endless() {
  for (;;) yield new Uint8Array(65_536);
}

describe('send', () => {
  test('send: keeps path and headers as they are, when it has a base path', async () => {
    await using server = await serve((request, response) => response.end(`${request.url} ${request.headers['x-a']}`));
    const origin = { url: `${server.url}/base/` };
    const answer = await send(origin, { path: '/a/../b%2F?q=%20', headers: { 'x-a': ['1', '2'] }, signal });
    expect(await readText(answer, { origin, signal })).toBe('/base/a/../b%2F?q=%20 1, 2');
  });

  test('send: hears a refusal, when the body is still being sent', async () => {
    const problem = { type: 'urn:vmlet:error:X', status: 403, code: 'X', phase: 'admission', cause: 'no', next: 'ask' };
    await using server = await serve((request, response) => {
      response.writeHead(403, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
      request.resume();
    });
    const origin = { url: server.url };
    const answer = await send(origin, { method: 'POST', path: '/', body: endless(), signal });
    const checking = expectStatus(answer, { wanted: [200], request: 'POST /', origin, signal });
    await expect(checking).rejects.toMatchObject({ problem });
    answer.destroy();
  });

  test('send: says what is wrong, when nothing listens or there is no socket', async () => {
    const { url } = await (async () => {
      await using server = await serve(() => {});
      return server;
    })();
    await expect(send({ url }, { path: '/', signal })).rejects.toThrow('nothing listens there');
    const nowhere = new OwnerClient('/nonexistent/owner.sock').status(signal);
    await expect(nowhere).rejects.toMatchObject({ code: 'NODE_UNREACHABLE', entry: { exitCode: 6 } });
  });

  test('readText: refuses an answer, when it breaks off or is too long', async () => {
    await using server = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('half');
      setImmediate(() => response.destroy());
    });
    const origin = { url: server.url };
    const cut = readText(await send(origin, { path: '/', signal }), { origin, signal });
    await expect(cut).rejects.toMatchObject({ code: 'ANSWER_BROKEN' });
    const long = readText(await send(origin, { path: '/', signal }), { origin, signal, maxBytes: 3 });
    await expect(long).rejects.toThrow('more than 3 bytes');
  });

  test('send: ends with the reason of the signal, when it aborts', async () => {
    const asked = Promise.withResolvers<void>();
    await using server = await serve(() => asked.resolve());
    const controller = new AbortController();
    const sending = send({ url: server.url }, { path: '/', signal: controller.signal });
    await asked.promise;
    controller.abort(new Error('stop'));
    await expect(sending).rejects.toThrow('stop');
  });
});

describe('OwnerClient', () => {
  test('OwnerClient: follows a log to its end, and says so when it breaks off', async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/owner.sock`;
    const entry = { timeMs: 1, stream: 'stdout', text: 'hello' };
    await using _server = await serve((request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write(`${JSON.stringify(entry)}\n`);
      if (request.url?.includes('follow')) setImmediate(() => response.destroy());
      else response.end();
    }, path);
    const owner = new OwnerClient(path);
    const read = async (follow: boolean) => {
      const entries = [];
      for await (const one of owner.logs('h', { lines: 1, follow, signal })) entries.push(one);
      return entries;
    };
    expect(await read(false)).toEqual([entry]);
    await expect(read(true)).rejects.toThrow('it broke off');
  });

  test('OwnerClient: refuses an answer, when it has another form', async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/owner.sock`;
    await using _server = await serve((_request, response) => response.end('{"programs":[{}]}'), path);
    await expect(new OwnerClient(path).programs(signal)).rejects.toMatchObject({ code: 'ANSWER_UNEXPECTED' });
  });
});
