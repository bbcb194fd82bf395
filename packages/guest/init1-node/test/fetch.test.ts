import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, keptConnection } from './harness.ts';
import { onEachNode } from './suite.ts';

const files = (body: string) => ({ 'app.mjs': body });
const app = (body: string) => files(`export default { async fetch(request) { ${body} } };\n`);

await onEachNode(
  'fetch',
  ({ serve, version }) => {
    test('fetch: is given method, URL, headers and body, and answers', async () => {
      const launcher = await serve(
        app(`return Response.json({ method: request.method, url: request.url, a: request.headers.get('x-a'),
          text: await request.text() }, { status: 201, statusText: 'Made', headers: { 'x-b': 'b' } });`),
      );
      expect(launcher.loaded).toMatchObject({ interface: 'fetch', server: expect.stringContaining('node ') });
      const headers = { 'x-a': ['1', '2'], host: 'name.example:80' };
      const answer = await launcher.get('//path/%41?q=1', { method: 'POST', headers, body: 'héllo' });
      expect(answer).toMatchObject({ status: 201, reason: 'Made', headers: { 'x-b': 'b' } });
      const url = 'http://name.example//path/%41?q=1';
      expect(JSON.parse(answer.text)).toEqual({ method: 'POST', url, a: '1, 2', text: 'héllo' });
      expect(answer.headers).toHaveProperty('content-length', String(answer.body.length));
      expect(answer.headers).not.toHaveProperty('server');
      expect(answer.headers).not.toHaveProperty('x-powered-by');
    });

    test('fetch: keeps its this, as a method of an object or class', async () => {
      const text = 'class App { name = "mine"; fetch() { return new Response(this.name); } }\n';
      expect((await (await serve(files(`${text}export default new App();`))).get('/')).text).toBe('mine');
    });

    test('fetch: is found as a named export, as a function of one, and by a named entrypoint', async () => {
      const named = await serve(files('export function fetch() { return new Response("named"); }'));
      expect((await named.get('/')).text).toBe('named');
      const plain = await serve(files('export default (request) => new Response(request.method);'));
      expect((await plain.get('/')).text).toBe('GET');
      const other = files('export const api = { fetch: () => new Response("api") };');
      expect((await (await serve(other, { entrypoint: 'app.mjs:api' })).get('/')).text).toBe('api');
    });

    test('set-cookie: stays several headers, dates in them included', async () => {
      const cookies = ['a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2', 'c=3; Path=/'];
      const list = JSON.stringify(cookies.map((cookie) => ['set-cookie', cookie]));
      for (const before of ['', 'delete Headers.prototype.getSetCookie;']) {
        const launcher = await serve(app(`${before} return new Response('x', { headers: ${list} });`));
        expect((await launcher.get('/')).headers['set-cookie']).toEqual(cookies);
      }
    });

    test('answers without a body: HEAD, 204 and 304 have none, and keep the connection', async () => {
      const launcher = await serve(
        app(`const status = Number(new URL(request.url).pathname.slice(1)) || 200;
          return new Response(status === 200 ? 'text' : null, { status, headers: { etag: '"1"' } });`),
      );
      const agent = keptConnection();
      for (const [path, method, status] of [
        ['/', 'HEAD', 200],
        ['/204', 'GET', 204],
        ['/304', 'GET', 304],
      ] as const) {
        const answer = await launcher.get(path, { method, agent });
        expect(answer).toMatchObject({ status, text: '', headers: { etag: '"1"' } });
        expect(answer.headers).not.toHaveProperty('content-length');
      }
      expect((await launcher.get('/404', { agent })).headers).toHaveProperty('content-length', '0');
      expect((await launcher.get('/', { agent })).text).toBe('text');
    });

    test('a failure: is a 500, its stack is on stderr, and the program goes on', async () => {
      const launcher = await serve(
        app(`const { pathname } = new URL(request.url);
          if (pathname === '/throw') throw new RangeError('out of it');
          if (pathname === '/none') return undefined;
          if (pathname === '/used') { const used = new Response('x'); await used.text(); return used; }
          return new Response(pathname);`),
      );
      for (const path of ['/throw', '/none', '/used']) {
        expect(await launcher.get(path)).toMatchObject({ status: 500, text: 'Internal Server Error\n' });
      }
      await launcher.until(() => launcher.stderr.includes('read already'));
      expect(launcher.stderr).toContain('RangeError: out of it\n    at ');
      expect(launcher.stderr).toContain('app.mjs');
      expect(launcher.stderr).toContain('found undefined, expected a Response');
      expect(launcher.stderr).not.toContain('init1.js');
      expect((await launcher.get('/fine')).text).toBe('/fine');
    });

    test('a streamed answer: comes chunk by chunk, when the program has it', async () => {
      const launcher = await serve(
        files(`let controller;
          const body = () => new ReadableStream({ start(c) { controller = c; c.enqueue(Buffer.from('first')); } });
          export default { fetch(request) {
            if (request.method === 'GET') return new Response(body());
            controller.enqueue(Buffer.from('second'));
            controller.close();
            return new Response('told');
          } };`),
      );
      const response = await launcher.open('/');
      const chunks = response[Symbol.asyncIterator]();
      expect(String((await chunks.next()).value)).toBe('first');
      await launcher.get('/', { method: 'POST' });
      expect(String((await chunks.next()).value)).toBe('second');
      expect((await chunks.next()).done).toBe(true);
    });

    test('a streamed answer: is made only as fast as the client takes it', async () => {
      const launcher = await serve(
        files(`let made = 0;
          export default { fetch(request) {
            if (request.method === 'POST') return new Response(String(made));
            return new Response(new ReadableStream({ pull(c) { made += 1; c.enqueue(new Uint8Array(65536)); } }));
          } };`),
      );
      const socket = connect(launcher.port, '127.0.0.1').on('error', () => {});
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await once(socket, 'readable'); // and is never read from
      let made = '';
      for (let same = 0; same < 20; ) {
        const { text } = await launcher.get('/', { method: 'POST' });
        same = text === made ? same + 1 : 0;
        made = text;
      }
      expect(Number(made) * 65_536).toBeLessThan(32 * 1024 * 1024);
      socket.destroy();
    });

    test('a client that goes: aborts the signal and cancels the stream', async () => {
      const launcher = await serve(
        app(`request.signal.addEventListener('abort', () => console.log('aborted'));
          if (request.method === 'POST') return new Response('whole');
          return new Response(new ReadableStream({
            start(c) { c.enqueue(new Uint8Array(10)); },
            cancel() { console.log('cancelled'); },
          }));`),
      );
      expect((await launcher.get('/', { method: 'POST', body: 'x' })).text).toBe('whole');
      const response = await launcher.open('/');
      expect(launcher.stdout).toBe('');
      response.on('error', () => {}).destroy();
      await launcher.until(() => launcher.stdout.includes('aborted') && launcher.stdout.includes('cancelled'));
      const waits = await serve(
        app(`console.log('started');
          await new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(request.signal.reason)));`),
      );
      const socket = connect(waits.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
      await waits.until(() => waits.stdout.includes('started'));
      socket.destroy();
      expect((await waits.halt()).code).toBe(0);
      expect(waits.stderr).not.toContain('AbortError');
    });

    test('a streamed answer that fails: cuts the connection, and its stack is on stderr', async () => {
      const launcher = await serve(
        app(`let left = 2;
          return new Response(new ReadableStream({ async pull(c) {
            await new Promise(setImmediate);
            if (left-- === 0) throw new Error('halfway');
            c.enqueue(new Uint8Array(100000));
          } }));`),
      );
      await expect(launcher.get('/')).rejects.toThrow(/aborted|hang up|ECONNRESET/);
      await launcher.until(() => launcher.stderr.includes('Error: halfway'));
    });

    test('a length that the body does not have: cuts the connection, and nothing of it reaches the next answer', async () => {
      const launcher = await serve(
        app(`const { pathname } = new URL(request.url);
          return new Response('text', { headers: { 'content-length': pathname.slice(1) } });`),
      );
      const agent = keptConnection();
      expect((await launcher.get('/4', { agent })).text).toBe('text');
      expect((await launcher.get('/2', { agent })).status).toBe(500);
      await expect(launcher.get('/9', { agent })).rejects.toThrow(/aborted|hang up|ECONNRESET/);
      expect((await launcher.get('/9', { agent, method: 'HEAD' })).headers['content-length']).toBe('9');
      expect((await launcher.get('/4', { agent })).text).toBe('text');
    });

    test('a chunk that is no bytes: fails as the web has it', async () => {
      const launcher = await serve(
        app(`return new Response(new ReadableStream({ start(c) { c.enqueue('text'); c.close(); } }));`),
      );
      expect((await launcher.get('/')).status).toBe(500);
      await launcher.until(() => launcher.stderr.includes('found a string, expected a Uint8Array'));
    });

    test('a big body: goes both ways whole, echoed while it comes', async () => {
      const launcher = await serve(app('return new Response(request.body);'));
      const body = Buffer.alloc(12 * 1024 * 1024, 'abcdefghijk');
      const answer = await launcher.get('/', { method: 'POST', body });
      expect(answer.body.equals(body)).toBe(true);
    });

    test('a body: is taken from the socket only as fast as the program reads it', async () => {
      const launcher = await serve(
        app(`if (request.method === 'GET') return new Response('x');
          const reader = request.body.getReader();
          const { value } = await reader.read();
          console.log('read', value.length);
          await new Promise(() => {});`),
      );
      const socket = connect(launcher.port, '127.0.0.1').on('error', () => {});
      socket.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n');
      const chunk = Buffer.alloc(65_536, 'x');
      const piece = Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]);
      await launcher.until(() => launcher.stdout.includes('read'));
      let sent = 0;
      // Stalled is a socket that takes no more while twenty requests are served beside it.
      for (let stalled = 0; stalled < 20 && sent < 1024; ) {
        if (socket.writableNeedDrain) {
          await launcher.get('/');
          stalled += 1;
        } else {
          socket.write(piece);
          sent += 1;
          stalled = 0;
        }
      }
      expect(sent * chunk.length).toBeLessThan(32 * 1024 * 1024);
      socket.destroy();
    });

    test('a body that the program leaves: does not hold up the next request', async () => {
      const launcher = await serve(
        app(`if (request.method === 'POST') await request.body.getReader().read();
          return new Response(request.method);`),
      );
      const agent = keptConnection();
      for (const method of ['POST', 'PUT', 'GET', 'POST']) {
        const body = method === 'GET' ? '' : Buffer.alloc(1024 * 1024);
        expect((await launcher.get('/', { method, agent, body })).text).toBe(method);
      }
    });

    test('a body that is cut off: rejects what reads it', async () => {
      const launcher = await serve(
        app(`try { await request.text(); } catch (error) { console.log('caught ' + error.message); }
          return new Response('');`),
      );
      const socket = connect(launcher.port, '127.0.0.1', () =>
        socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome', () => socket.destroy()),
      );
      await launcher.until(() => launcher.stdout.includes('caught'));
    });

    test('what the web knows no request for: a WebSocket is a 501, a bad host a 400', async () => {
      const launcher = await serve(app('return new Response(request.url);'));
      const headers = { connection: 'upgrade', upgrade: 'websocket' };
      expect((await launcher.get('/', { headers })).status).toBe(501);
      expect((await launcher.get('/', { headers: { host: 'a b' } })).status).toBe(400);
      expect((await launcher.get('/', { method: 'TRACE' })).status).toBe(400);
      // Not every upgrade is a WebSocket: curl offers HTTP/2 like this.
      const h2c = { connection: 'upgrade, http2-settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABk' };
      expect((await launcher.get('/', { headers: h2c })).status).toBe(200);
    });

    test('an answer of fetch(): is passed on decoded, without the encoding of the one it had', async () => {
      const launcher = await serve(
        files(`import { createServer } from 'http';
          import { gzipSync } from 'zlib';
          const upstream = createServer((req, res) => {
            res.writeHead(200, { 'content-encoding': 'gzip', 'x-up': '1' });
            res.end(gzipSync('plain'));
          }).listen(0, '127.0.0.1');
          await new Promise((resolve) => upstream.once('listening', resolve));
          export default { fetch: () => fetch('http://127.0.0.1:' + upstream.address().port) };`),
        { port: await freePort() },
      );
      const answer = await launcher.get('/');
      expect(answer).toMatchObject({ text: 'plain', headers: { 'x-up': '1' } });
      expect(answer.headers).not.toHaveProperty('content-encoding');
    });

    test('types: are stripped from a TypeScript program, where Node does that', async () => {
      const text = 'export default { fetch(request: Request): Response { return new Response(request.method); } };';
      if (version.major < 22) return;
      for (const name of ['app.ts', 'app.mts']) {
        expect((await (await serve({ [name]: text })).get('/')).text).toBe('GET');
      }
      const cjs = 'const fetch = (r: Request): Response => new Response(String(require.main === module));\n';
      expect((await (await serve({ 'app.cts': `${cjs}module.exports = { fetch };` })).get('/')).text).toBe('true');
      expect((await (await serve({ 'a.ts': `${cjs}module.exports = { fetch };` })).get('/')).status).toBe(200);
    });
  },
  18,
);
