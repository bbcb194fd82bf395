import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import { PROGRAM, PROGRAM_HOST, RawClient, rawServer, startGateway, TEST_CONNECTIONS } from './testing.ts';

const echo = async (request: IncomingMessage, response: ServerResponse) => {
  const { method, url, rawHeaders } = request;
  response.end(JSON.stringify({ method, url, rawHeaders, body: await text(request) }));
};
/** The event loop's next turn. */
const turn = () => new Promise((resolve) => void setImmediate(resolve));
const ok = (_request: IncomingMessage, response: ServerResponse) => response.end('ok');

/** One whole exchange on a connection of its own: the answer's bytes. */
async function exchange(port: number, ...lines: string[]): Promise<string> {
  const client = new RawClient(port).send(...lines);
  return client.closed();
}

const get = (path = '/', ...headers: string[]) => [
  `GET ${path} HTTP/1.1`,
  `Host: ${PROGRAM_HOST}`,
  'Connection: close',
  ...headers,
  '',
  '',
];

const seen = (answer: string) => {
  const { rawHeaders, ...rest } = JSON.parse(
    Buffer.from(answer.slice(answer.indexOf('\r\n\r\n{') + 4), 'latin1').toString('utf8'),
  ) as {
    method: string;
    url: string;
    body: string;
    rawHeaders: string[];
  };
  const headers: [string, string][] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) headers.push([rawHeaders[index]!, rawHeaders[index + 1]!]);
  const named = (name: string) => headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
  return { ...rest, headers, named };
};

const plain = (body: string, ...headers: string[]) =>
  [`HTTP/1.1 200 OK`, ...headers, `content-length: ${body.length}`, '', body].join('\r\n');

describe('requests', () => {
  test('gateway: sends method, path, query and body on as they are', async () => {
    await using it = await startGateway(echo);
    const path = '//a/../b%2F%zz;c?d=%20&e=/vm/x';
    const client = new RawClient(it.port);
    client.send(
      `PATCH ${path} HTTP/1.1`,
      `Host: ${PROGRAM_HOST}`,
      'content-length: 5',
      'connection: close',
      '',
      'hello',
    );
    expect(seen(await client.closed())).toMatchObject({ method: 'PATCH', url: path, body: 'hello' });
  });

  test('gateway: sends a chunked body on, and bodies of GET and of no bytes', async () => {
    await using it = await startGateway(echo);
    const host = [`Host: ${PROGRAM_HOST}`, 'Connection: close'];
    const chunked = ['POST / HTTP/1.1', ...host, 'Transfer-Encoding: chunked', '', '3', 'abc', '2', 'de', '0', '', ''];
    expect(seen(await exchange(it.port, ...chunked)).body).toBe('abcde');
    expect(seen(await exchange(it.port, 'GET / HTTP/1.1', ...host, 'Content-Length: 3', '', 'abc')).body).toBe('abc');
    const none = seen(await exchange(it.port, 'POST / HTTP/1.1', ...host, 'Content-Length: 0', '', ''));
    expect(none.body).toBe('');
    expect(none.named('content-length')).toEqual(['0']);
    expect(seen(await exchange(it.port, 'GET / HTTP/1.1', ...host, 'Content-Length: 0', '', '')).body).toBe('');
    expect(seen(await exchange(it.port, 'DELETE / HTTP/1.1', ...host, 'Content-Length: 1', '', 'x')).body).toBe('x');
  });

  test('gateway: keeps the headers that are the client’s, with case, order and repeats', async () => {
    await using it = await startGateway(echo);
    const { headers, named } = seen(
      await exchange(
        it.port,
        ...get('/', 'X-Two: 1', 'x-two: 2', 'Cookie: a=b; c="d"', 'X-Latin: caf\u00e9', 'Authorization: Basic x'),
      ),
    );
    expect(headers.filter(([name]) => /^x-two$/i.test(name))).toEqual([
      ['X-Two', '1'],
      ['x-two', '2'],
    ]);
    expect(named('cookie')).toEqual(['a=b; c="d"']);
    expect(named('x-latin')).toEqual(['caf\u00e9']);
    expect(named('authorization')).toEqual(['Basic x']);
  });

  test('gateway: takes out what belongs to the connection, and what Connection names', async () => {
    await using it = await startGateway(echo);
    const { named } = seen(
      await exchange(
        it.port,
        'GET / HTTP/1.1',
        `Host: ${PROGRAM_HOST}`,
        'Connection: close, X-Foo',
        'X-Foo: 1',
        'Keep-Alive: timeout=5',
        'TE: trailers',
        'Proxy-Authorization: x',
        'Proxy-Connection: y',
        '',
        '',
      ),
    );
    for (const name of ['x-foo', 'keep-alive', 'te', 'proxy-authorization', 'proxy-connection'])
      expect(named(name)).toEqual([]);
  });

  test('gateway: keeps Host and Content-Length, though Connection names them', async () => {
    await using it = await startGateway(echo);
    const { body, named } = seen(
      await exchange(
        it.port,
        'POST / HTTP/1.1',
        `Host: ${PROGRAM_HOST}`,
        'Connection: close, host, content-length',
        'Content-Length: 2',
        '',
        'hi',
      ),
    );
    expect(body).toBe('hi');
    expect(named('host')).toEqual([PROGRAM_HOST]);
    expect(named('content-length')).toEqual(['2']);
  });

  test('gateway: says itself who the client is, whatever the client claims', async () => {
    await using it = await startGateway(echo);
    const claims = [
      'Forwarded: for=evil',
      'X-Forwarded-For: evil',
      'X_Forwarded_For: evil',
      'x-real-ip: evil',
      'X-Forwarded-Proto: evil',
      'x_request_id: evil',
      'X-Forwarded-Host: evil',
    ];
    const answer = seen(await exchange(it.port, ...get('/', ...claims)));
    expect(JSON.stringify(answer.headers)).not.toContain('evil');
    expect(answer.named('forwarded')).toEqual([`for=127.0.0.1;host="${PROGRAM_HOST}";proto=http`]);
    expect(answer.named('x-request-id')).toHaveLength(1);
  });

  test('gateway: what the node alone says to a program no visitor can, however it is spelled', async () => {
    const spellings = ['x-vmlet-event', 'X-Vmlet-Event', 'x_vmlet_event', 'X-VMLET_event'];
    const forged = spellings.map((name) => `${name}: forged`);
    for (const trustForwarded of [false, true]) {
      await using it = await startGateway(echo, { config: { trustForwarded } });
      const answer = seen(await exchange(it.port, ...get('/', ...forged, 'ce-id: visitor')));
      expect(JSON.stringify(answer.headers)).not.toContain('forged');
      expect(answer.named('ce-id')).toEqual(['visitor']);
    }
  });

  test('gateway: believes a proxy in front of it, when it is told to', async () => {
    await using it = await startGateway(echo, { config: { trustForwarded: true } });
    const answer = seen(await exchange(it.port, ...get('/', 'X-Forwarded-For: 192.0.2.1', 'Forwarded: for=192.0.2.1')));
    expect(answer.named('x-forwarded-for')).toEqual(['192.0.2.1']);
    expect(answer.named('forwarded')).toEqual(['for=192.0.2.1', expect.stringContaining('for=127.0.0.1')]);
  });

  test('gateway: names a request as the client does, unless the name is no good', async () => {
    await using it = await startGateway(echo);
    const named = await exchange(it.port, ...get('/', 'X-Request-Id: my-1.a'));
    expect(named.toLowerCase()).toContain('x-request-id: my-1.a');
    expect(seen(named).named('x-request-id')).toEqual(['my-1.a']);
    for (const bad of ['a b', 'x'.repeat(65), 'é']) {
      const [id = ''] = seen(await exchange(it.port, ...get('/', `X-Request-Id: ${bad}`))).named('x-request-id');
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  test('gateway: sends one Host on, the one that chose the program, when there are two or the target names it', async () => {
    await using it = await startGateway(echo);
    const two = await exchange(it.port, ...get('/', 'Host: evil.example'));
    if (!two.startsWith('HTTP/1.1 400')) expect(seen(two).named('host')).toEqual([PROGRAM_HOST]);
    const absolute = await exchange(
      it.port,
      `GET http://${PROGRAM_HOST}:81/x?y HTTP/1.1`,
      'Host: other.example',
      'Connection: close',
      '',
      '',
    );
    expect(seen(absolute)).toMatchObject({ url: '/x?y' });
    expect(seen(absolute).named('host')).toEqual([`${PROGRAM_HOST}:81`]);
  });

  test.each([
    ['both lengths', ['Content-Length: 3', 'Transfer-Encoding: chunked']],
    ['two lengths', ['Content-Length: 3', 'Content-Length: 4']],
    ['a folded header', ['X-A: 1', ' folded: 2']],
    ['a space before the colon', ['Content-Length : 3']],
    ['an unknown transfer encoding', ['Transfer-Encoding: xchunked']],
  ])('gateway: refuses %s, and the program never gets it whole', async (_name, headers) => {
    const whole = { times: 0 };
    await using it = await startGateway(
      (request) =>
        void request
          .on('error', () => {})
          .on('end', () => whole.times++)
          .resume(),
    );
    const answer = await exchange(it.port, 'POST / HTTP/1.1', `Host: ${PROGRAM_HOST}`, ...headers, '', 'abc');
    expect(answer).toMatch(/^HTTP\/1\.1 400/);
    await it.idle();
    expect(whole.times).toBe(0);
  });

  test('gateway: lets a client send that waits for 100 Continue', async () => {
    await using it = await startGateway(echo);
    const client = new RawClient(it.port);
    client.send(
      'POST / HTTP/1.1',
      `Host: ${PROGRAM_HOST}`,
      'Expect: 100-continue',
      'Content-Length: 4',
      'Connection: close',
      '',
      '',
    );
    await client.until('100 Continue');
    const answer = seen(await client.send('body').closed());
    expect(answer.body).toBe('body');
    expect(answer.named('expect')).toEqual([]);
  });
});

describe('answers', () => {
  test('gateway: gives status, reason, headers and bytes as the program sends them', async () => {
    const body = gzipSync('compressed');
    await using it = await startGateway((_request, response) => {
      response.writeHead(
        418,
        'Short and stout',
        [
          ['Content-Encoding', 'gzip'],
          ['Set-Cookie', 'a=1'],
          ['Set-Cookie', 'b=2'],
          ['Location', '/vm/elsewhere'],
          ['X-Latin', 'caf\u00e9'],
          ['Server', 'program'],
        ].flat(),
      );
      response.end(body);
    });
    const answer = await exchange(it.port, ...get());
    expect(answer).toMatch(/^HTTP\/1\.1 418 Short and stout\r\n/);
    for (const line of [
      'Content-Encoding: gzip',
      'Set-Cookie: a=1',
      'Set-Cookie: b=2',
      'Location: /vm/elsewhere',
      'X-Latin: caf\u00e9',
      'Server: program',
    ]) {
      expect(answer).toContain(`${line}\r\n`);
    }
    expect(answer).toContain(body.toString('latin1'));
    expect(answer.match(/x-request-id/gi)).toHaveLength(1);
  });

  test('gateway: passes bytes in headers and reason on, that are no ASCII', async () => {
    const tcp = rawServer(
      Buffer.from(plain('ok', 'X-Utf: \u00c3\u00a9', 'X-Raw: \u00ff').replace('OK', 'Tr\u00e8s bien'), 'latin1'),
    );
    await using it = await startGateway(ok, { tcp });
    const answer = await exchange(it.port, ...get());
    expect(answer).toContain('X-Utf: \u00c3\u00a9\r\n');
    expect(answer).toContain('X-Raw: \u00ff\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('gateway: says the phases of a cold start, and nothing of them on a hot one', async () => {
    await using cold = await startGateway(ok, {
      phases: {
        from: 'boot',
        steps: [
          { name: 'prepare', ms: 1 },
          { name: 'boot', ms: 2.25 },
          { name: 'load', ms: 3 },
        ],
      },
    });
    expect(await exchange(cold.port, ...get())).toMatch(
      /server-timing: queue;dur=\d+\.\d, prepare;dur=1\.0, boot;dur=2\.\d, load;dur=3\.0, app;dur=\d+\.\d, total;desc="boot";dur=\d+\.\d\r/,
    );
    expect(cold.timelines.of(PROGRAM).starts).toMatchObject([{ from: 'boot', steps: { length: 5 } }]);
    expect(cold.metrics.metrics.expose()).toContain('vmlet_requests_total{status="2xx"} 1\n');
    await using hot = await startGateway(ok);
    expect(await exchange(hot.port, ...get())).not.toContain('server-timing');
    expect(hot.timelines.of(PROGRAM).starts).toEqual([]);
  });

  test('gateway: answers HEAD, 204 and 304 without a body, and the connection stays good', async () => {
    await using it = await startGateway((request, response) => {
      const status = Number(request.url?.slice(1));
      response.writeHead(status, status === 200 || status === 304 ? { 'content-length': 1234, etag: '"x"' } : {});
      response.end(status === 200 && request.method === 'GET' ? 'x'.repeat(1234) : undefined);
    });
    const client = new RawClient(it.port);
    for (const [index, line] of ['HEAD /200', 'GET /204', 'GET /304', 'HEAD /404'].entries()) {
      client.send(`${line} HTTP/1.1`, `Host: ${PROGRAM_HOST}`, '', '');
      await client.until(new RegExp(`(HTTP/1.1 [\\s\\S]*?\r\n\r\n){${index + 1}}`));
    }
    expect(client.text.match(/HTTP\/1.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 204',
      'HTTP/1.1 304',
      'HTTP/1.1 404',
    ]);
    expect(client.text).toMatch(/\r\n\r\n$/);
    expect(client.text.match(/content-length: 1234/gi)).toHaveLength(2);
    client.socket.destroy();
  });

  test('gateway: passes trailers on', async () => {
    const tcp = rawServer(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n',
    );
    await using it = await startGateway(ok, { tcp });
    expect(await exchange(it.port, ...get())).toMatch(/\r\nx-sum: 7\r\n\r\n$/);
  });

  test('gateway: takes out of an answer what belongs to its connection', async () => {
    const tcp = rawServer(
      plain(
        'ok',
        'connection: keep-alive, x-hop',
        'x-hop: 1',
        'keep-alive: timeout=9',
        'proxy-authenticate: x',
        'x-end: 2',
      ),
    );
    await using it = await startGateway(ok, { tcp });
    const answer = await exchange(it.port, ...get());
    expect(answer).not.toContain('x-hop');
    expect(answer).not.toContain('timeout=9');
    expect(answer).toContain('x-end: 2');
  });

  test('gateway: skips answers of 1xx, and passes on one that ends with its connection', async () => {
    const early = rawServer(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${plain('late')}`);
    await using hints = await startGateway(ok, { tcp: early });
    expect(await exchange(hints.port, ...get())).toMatch(/^HTTP\/1.1 200 [\s\S]*late$/);
    await using closing = await startGateway(ok, {
      tcp: rawServer('HTTP/1.0 200 OK\r\n\r\nuntil the end', { end: true }),
    });
    expect(await exchange(closing.port, ...get())).toContain('until the end');
  });

  test('gateway: gives each piece on as it comes', async () => {
    const second = Promise.withResolvers<void>();
    await using it = await startGateway(async (_request, response) => {
      response.write('first');
      await second.promise;
      response.end('second');
    });
    const client = new RawClient(it.port).send(...get());
    expect(await client.until('first')).not.toContain('second');
    second.resolve();
    expect(await client.closed()).toContain('second');
  });

  test('gateway: gives a body byte by byte, whether it comes whole or in pieces', async () => {
    const bytes = Buffer.from(Array.from({ length: 40_000 }, (_, index) => index % 256));
    const one = (length: number) => bytes.subarray(0, length);
    await using it = await startGateway(() => {}, {
      tcp: createServer((socket) => {
        socket.once('data', (request: Buffer) => {
          const [, length = '', mode] = /GET \/(\d+)\/(\w+)/.exec(request.toString('latin1')) ?? [];
          const head = `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`;
          const body = one(Number(length));
          if (mode === 'whole') socket.end(Buffer.concat([Buffer.from(head), body]));
          else socket.write(head, () => socket.write(body.subarray(0, 1), () => socket.end(body.subarray(1))));
        });
      }),
    });
    for (const length of [1, 256, 16_384, 16_385, 40_000]) {
      for (const mode of ['whole', 'pieces']) {
        const answer = await exchange(it.port, ...get(`/${length}/${mode}`));
        const body = Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1');
        expect(body.equals(one(length)), `${length} ${mode}`).toBe(true);
      }
    }
  });

  test('gateway: reads no faster than the client, both ways', async () => {
    const written = { bytes: 0 };
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const full = Promise.withResolvers<void>();
    await using it = await startGateway((request, response) => {
      request.resume();
      const more = () => {
        while (!response.destroyed && response.write(chunk)) written.bytes += chunk.length;
        full.resolve();
      };
      response.on('drain', more);
      more();
    });
    const client = new RawClient(it.port);
    client.socket.pause();
    client.send(...get());
    await full.promise;
    client.socket.destroy();
    await it.idle();
    expect(written.bytes).toBeLessThan(64 * 1024 * 1024);
  });
});

describe('failures', () => {
  const problem = (answer: string) => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));

  test('gateway: cuts an answer that the program has cut, so that it does not look whole', async () => {
    for (const answer of [
      'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n',
    ]) {
      await using it = await startGateway(ok, { tcp: rawServer(answer, { end: true }) });
      const got = await exchange(it.port, ...get());
      expect(got).toContain('half');
      expect(got).not.toMatch(/\r\n0\r\n\r\n$/);
      expect(it.leases).toMatchObject({ taken: 1, given: 1 });
    }
  });

  test.each([
    ['nothing', ''],
    ['SSH', 'SSH-2.0-OpenSSH\r\n'],
    ['a status that is no number', 'HTTP/1.1 abc\r\n\r\n'],
    ['headers without end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`],
    ['an upgrade', 'HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ])('gateway: answers 502 when the program answers with %s', async (_name, bytes) => {
    await using it = await startGateway(ok, { tcp: rawServer(bytes, { end: true }) });
    const answer = await exchange(it.port, ...get());
    expect(answer).toMatch(/^HTTP\/1.1 502 [\s\S]*application\/problem\+json/);
    expect(problem(answer)).toMatchObject({ code: 'ANSWER_BROKEN', status: 502, requestId: expect.any(String) });
    expect(it.leases).toMatchObject({ taken: 1, given: 1, retired: 0 });
  });

  test('gateway: sends a request once, though its connection breaks', async () => {
    const asked = { times: 0 };
    await using it = await startGateway((request) => {
      asked.times++;
      request.socket.destroy();
    });
    expect(await exchange(it.port, ...get())).toMatch(/^HTTP\/1.1 502/);
    expect(asked.times).toBe(1);
  });

  test('gateway: answers 504 at the deadline and retires the machine, before an answer', async () => {
    await using it = await startGateway(() => {}, { seconds: 0.05 });
    const answer = await exchange(it.port, ...get());
    expect(problem(answer)).toMatchObject({ status: 504, code: 'REQUEST_TIMEOUT' });
    expect(it.leases).toMatchObject({ taken: 1, given: 1, retired: 1 });
  });

  test('gateway: cuts the answer at the deadline without retiring the machine, within one', async () => {
    await using it = await startGateway((_request, response) => void response.write('some'), { seconds: 0.05 });
    const answer = await exchange(it.port, ...get());
    expect(answer).toMatch(/^HTTP\/1.1 200 [\s\S]*some/);
    expect(answer).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(it.leases).toMatchObject({ given: 1, retired: 0 });
  });

  test('gateway: waits, for a program that may take longer than a timer can', async () => {
    const may = Promise.withResolvers<void>();
    await using it = await startGateway(
      async (_request, response) => {
        await may.promise;
        response.end('late');
      },
      { seconds: 315_360_000 },
    );
    const client = new RawClient(it.port).send(...get());
    const unknown = await exchange(it.port, 'GET / HTTP/1.1', 'Host: x', 'Connection: close', '', '');
    expect(unknown).toMatch(/^HTTP\/1.1 404/);
    may.resolve();
    expect(await client.closed()).toContain('late');
  });

  test.each([
    ['404', `Host: unknown.vm.localhost`, 'HOST_UNKNOWN'],
    ['404', 'Host: localhost', 'PROGRAM_NOT_FOUND'],
  ])('gateway: answers %s for %s, and the same connection answers the next request', async (status, host, code) => {
    await using it = await startGateway(echo);
    const client = new RawClient(it.port);
    client.send('POST /vm/nothing/x HTTP/1.1', host, 'content-length: 200000', '', '');
    await client.until(`"code":"${code}"`);
    client.send('z'.repeat(200_000));
    client.send('POST /again HTTP/1.1', `Host: ${PROGRAM_HOST}`, 'content-length: 2', 'connection: close', '', 'hi');
    const answer = await client.closed();
    expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`, 'HTTP/1.1 200']);
    expect(answer).toContain('"body":"hi"');
  });

  test('gateway: gives the program’s answer to a body it does not read, and the connection stays good', async () => {
    await using it = await startGateway((request, response) => {
      if (request.url === '/next') response.end('next');
      // It leaves the closing to the client: a server that closes on unread bytes resets the connection, answer and all.
      else response.writeHead(413, { connection: 'close', 'content-length': '9' }).write('too large');
    });
    const client = new RawClient(it.port);
    const bytes = 3_000_000;
    client.send('POST / HTTP/1.1', `Host: ${PROGRAM_HOST}`, `content-length: ${bytes}`, '', '');
    client.send('z'.repeat(bytes / 2));
    await client.until('too large');
    client.send('z'.repeat(bytes / 2));
    client.send('GET /next HTTP/1.1', `Host: ${PROGRAM_HOST}`, 'connection: close', '', '');
    expect(await client.closed()).toMatch(/ 413 [\s\S]*too large[\s\S]* 200 [\s\S]*next/);
  });

  test('gateway: answers 504 to a body that the program does not read, and the connection stays good', async () => {
    await using it = await startGateway((request, response) => void (request.url === '/next' && response.end('next')), {
      seconds: 0.2,
    });
    const client = new RawClient(it.port);
    const bytes = 8_000_000;
    client.send('POST / HTTP/1.1', `Host: ${PROGRAM_HOST}`, `content-length: ${bytes}`, '', 'z'.repeat(bytes));
    await client.until('REQUEST_TIMEOUT');
    client.send('GET /next HTTP/1.1', `Host: ${PROGRAM_HOST}`, 'connection: close', '', '');
    expect(await client.closed()).toMatch(/ 504 [\s\S]* 200 [\s\S]*next/);
  });

  test('gateway: answers 502 while a body is sent, when the machine breaks off', async () => {
    await using it = await startGateway((request) => void request.once('data', () => request.socket.destroy()));
    const client = new RawClient(it.port);
    client.send('POST / HTTP/1.1', `Host: ${PROGRAM_HOST}`, 'content-length: 1000000', '', 'z'.repeat(500_000));
    await client.until('ANSWER_BROKEN');
    client.socket.destroy();
  });

  test('gateway: cuts a client that sends on and on after its answer', async () => {
    await using it = await startGateway(ok);
    const client = new RawClient(it.port);
    client.send('POST / HTTP/1.1', 'Host: unknown.example', 'transfer-encoding: chunked', '', '');
    await client.until('HOST_UNKNOWN');
    const chunk = `10000\r\n${'z'.repeat(0x10000)}\r\n`;
    const more = () => {
      while (!client.socket.destroyed && client.socket.write(chunk));
    };
    client.socket.on('drain', more);
    more();
    await client.closed();
  });

  test('gateway: answers 503 with Retry-After, when there is no room', async () => {
    const acquire = async () => {
      throw new VmletError('QUEUE_FULL', { operands: { waiting: 3 } });
    };
    await using it = await startGateway(ok, { components: { executions: { acquire } } });
    const answer = await exchange(it.port, ...get());
    expect(answer).toMatch(/^HTTP\/1.1 503 [\s\S]*retry-after: \d+/);
    expect(problem(answer)).toMatchObject({ code: 'QUEUE_FULL', retryable: true });
  });

  test('gateway: asks nobody to come back soon, when the program is stopped', async () => {
    const findProgram = () => {
      throw new VmletError('PROGRAM_STOPPED', { operands: { itemHash: PROGRAM } });
    };
    await using it = await startGateway(ok, { components: { findProgram } });
    const answer = await exchange(it.port, ...get());
    expect(answer).toMatch(/^HTTP\/1.1 503 /);
    expect(answer).not.toMatch(/retry-after/i);
    expect(problem(answer)).toMatchObject({ code: 'PROGRAM_STOPPED', retryable: false });
  });

  test('gateway: answers what is not in the catalogue with 500, and no detail of an error', async () => {
    const acquire = async () => {
      throw new VmletError('PROGRAM_LOAD_FAILED', { operands: { code: 'IMPORT_FAILED' }, detail: 's3cret traceback' });
    };
    await using failing = await startGateway(ok, { components: { executions: { acquire } } });
    const answer = await exchange(failing.port, ...get());
    expect(answer).toMatch(/^HTTP\/1.1 502/);
    expect(answer).not.toContain('s3cret');
    const broken = async () => {
      throw new Error('unforeseen');
    };
    await using internal = await startGateway(ok, { components: { executions: { acquire: broken } } });
    expect(problem(await exchange(internal.port, ...get()))).toMatchObject({ status: 500, code: 'INTERNAL' });
  });
});

describe('clients that leave', () => {
  test('gateway: gives the place back, when the client leaves while the program works', async () => {
    const asked = Promise.withResolvers<IncomingMessage>();
    await using it = await startGateway((request) => asked.resolve(request));
    const client = new RawClient(it.port).send(...get());
    const upstream = await asked.promise;
    client.socket.destroy();
    await new Promise((resolve) => void upstream.once('close', resolve));
    await it.idle();
    expect(it.leases).toMatchObject({ taken: 1, given: 1, retired: 0, explained: [] });
  });

  test('gateway: stops waiting for a place, when the client leaves', async () => {
    const waiting = Promise.withResolvers<AbortSignal>();
    const acquire = (_program: unknown, signal: AbortSignal) => {
      waiting.resolve(signal);
      return new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    await using it = await startGateway(ok, { components: { executions: { acquire } } });
    const client = new RawClient(it.port).send(...get());
    const signal = await waiting.promise;
    const aborted = once(signal, 'abort');
    client.socket.destroy();
    await aborted;
  });

  test('gateway: sends nothing for a client that has left, when its request was still waiting for a connection', async () => {
    const held: ServerResponse[] = [];
    const full = Promise.withResolvers<void>();
    await using it = await startGateway((_request, response) => {
      if (held.push(response) === TEST_CONNECTIONS) full.resolve();
    });
    const clients = Array.from({ length: TEST_CONNECTIONS }, () => new RawClient(it.port).send(...get()));
    await full.promise;
    const waiting = new RawClient(it.port).send(...get());
    while (it.leases.taken <= TEST_CONNECTIONS) await turn();
    waiting.socket.destroy();
    while (it.leases.given === 0) await turn();
    for (const response of held.splice(0)) response.end('late');
    for (const client of clients) expect(await client.closed()).toContain('late');
    await it.idle();
    // One more is served by the connections that the first ones had, behind whatever waited for them.
    const last = exchange(it.port, ...get());
    while (held.length === 0) await turn();
    held[0]?.end('last');
    expect(await last).toContain('last');
    expect(held).toHaveLength(1);
  });

  test('gateway: gives the place back, when the client leaves within its body', async () => {
    const some = Promise.withResolvers<void>();
    await using it = await startGateway(
      (request) => void request.on('error', () => {}).once('data', () => some.resolve()),
    );
    const client = new RawClient(it.port);
    client.send('POST / HTTP/1.1', `Host: ${PROGRAM_HOST}`, 'content-length: 100', '', 'some');
    await some.promise;
    client.socket.destroy();
    await it.idle();
    expect(it.leases).toMatchObject({ taken: 1, given: 1, retired: 0 });
  });

  test('gateway: gives the place back, when the client leaves within the answer', async () => {
    await using it = await startGateway((_request, response) => void response.write('some'));
    const client = new RawClient(it.port).send(...get());
    await client.until('some');
    client.socket.destroy();
    await it.idle();
    expect(it.leases).toMatchObject({ taken: 1, given: 1, retired: 0 });
  });
});

describe('listening', () => {
  test('gateway: answers API hosts by the API, and never a program’s host', async () => {
    await using it = await startGateway(ok);
    for (const host of ['localhost', '127.0.0.1', '[::1]', 'API.example']) {
      expect(await exchange(it.port, 'GET /x HTTP/1.1', `Host: ${host}`, 'connection: close', '', '')).toMatch(/api$/);
    }
    expect(await exchange(it.port, ...get('/api/v0/messages'))).toMatch(/ok$/);
  });

  test('gateway: redirects a browser to the program’s own host, with path and query', async () => {
    await using it = await startGateway(ok);
    const ask = (ref: string) =>
      exchange(
        it.port,
        `GET /vm/${ref}/a//b?c HTTP/1.1`,
        'Host: localhost',
        'Sec-Fetch-Mode: navigate',
        'connection: close',
        '',
        '',
      );
    expect(await ask(PROGRAM)).toMatch(
      new RegExp(`^HTTP/1.1 307 [\\s\\S]*location: http://${PROGRAM_HOST}:${it.port}/a//b\\?c\r\n`, 'i'),
    );
    expect(await ask('nothing')).toMatch(/^HTTP\/1.1 404 /);
    expect(it.leases.taken).toBe(0);
  });

  test('gateway: serves a program by name, and redirects a browser to the name’s host', async () => {
    const findProgram = (ref: string) => {
      expect(ref).toBe('hello');
      const prepare = async () =>
        Promise.reject(new TypeError('Cannot prepare: the program of this test runs already'));
      return { itemHash: PROGRAM, owner: '0x1', vcpus: 1, memoryMiB: 1, seconds: 30, prepare };
    };
    await using it = await startGateway(ok, { components: { findProgram, hasName: (label) => label === 'hello' } });
    const ask = (host: string, path: string, more: string[] = []) =>
      exchange(it.port, `GET ${path} HTTP/1.1`, `Host: ${host}`, ...more, 'connection: close', '', '');
    expect(await ask('hello.vm.localhost', '/')).toMatch(/ok$/);
    expect(await ask('localhost', '/vm/hello/')).toMatch(/ok$/);
    expect(await ask('localhost', '/vm/hello/a', ['Sec-Fetch-Mode: navigate'])).toMatch(
      new RegExp(`^HTTP/1.1 307 [\\s\\S]*location: http://hello.vm.localhost:${it.port}/a\r\n`, 'i'),
    );
    expect(await ask('other.vm.localhost', '/')).toMatch(/^HTTP\/1.1 404 /);
  });

  test('gateway: says what is wrong, when its port is in use', async () => {
    await using first = await startGateway(ok);
    const config = { programDomain: 'a', apiHosts: [], trustForwarded: false, drainMs: 1 };
    const second = new (first.gateway.constructor as typeof import('./server.ts').Gateway)(config, {} as never);
    await expect(second.listen('127.0.0.1', first.port)).rejects.toMatchObject({ code: 'PORT_IN_USE' });
    await second[Symbol.asyncDispose]();
  });

  test('gateway: answers what is under way when it closes, and holds no kept connection', async () => {
    const may = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const it = await startGateway(async (_request, response) => {
      asked.resolve();
      await may.promise;
      response.end('done');
    });
    const answered = new Promise<string>((resolve, reject) => {
      httpRequest({ port: it.port, headers: { host: PROGRAM_HOST, connection: 'keep-alive' } }, (answer) =>
        text(answer).then(resolve, reject),
      )
        .on('error', reject)
        .end();
    });
    await asked.promise;
    const closed = it[Symbol.asyncDispose]();
    may.resolve();
    expect(await answered).toBe('done');
    await closed;
  });

  test('gateway: cuts what is not answered in time, when it closes', async () => {
    const asked = Promise.withResolvers<void>();
    const it = await startGateway(() => asked.resolve(), { config: { drainMs: 20 } });
    const client = new RawClient(it.port).send(...get());
    await asked.promise;
    await it[Symbol.asyncDispose]();
    await client.closed();
  });
});
