import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { keptConnection } from './harness.ts';
import { onEachNode } from './suite.ts';

await onEachNode('handler', ({ serve }) => {
  test('handler: is served from CommonJS, compiled ES modules, and ES modules', async () => {
    const handler = "(req, res) => res.end(req.method + ' ' + req.url)";
    for (const files of [
      { 'app.js': `module.exports = ${handler};` },
      { 'app.cjs': `Object.defineProperty(exports, '__esModule', { value: true }); exports.default = ${handler};` },
      { 'app.mjs': `export default ${handler};` },
      { 'app.js': `export default ${handler};`, 'package.json': '{"type":"module"}' },
    ]) {
      const launcher = await serve(files);
      expect(launcher.loaded.interface).toBe('handler');
      expect((await launcher.get('/a?b', { method: 'PUT' })).text).toBe('PUT /a?b');
    }
  });

  test('handler: is given next, when it takes three', async () => {
    const launcher = await serve({
      'app.js': `module.exports = function app(req, res, next) {
        if (req.url === '/error') return next(new Error('passed on'));
        if (req.url === '/none') return next();
        res.end('done');
      };`,
    });
    expect((await launcher.get('/')).text).toBe('done');
    expect((await launcher.get('/none')).status).toBe(404);
    expect((await launcher.get('/error')).status).toBe(500);
    await launcher.until(() => launcher.stderr.includes('Error: passed on'));
  });

  test('applications: Express, Connect and Koa are served as they are', async () => {
    // Both make a function of (req, res, next) with methods on it, and answer what no route does.
    const connectLike = `function app(req, res, next) { app.handle(req, res, next); }
      app.stack = [];
      app.use = (f) => { app.stack.push(f); return app; };
      app.handle = (req, res, out) => {
        let at = 0;
        const next = () => (at < app.stack.length ? app.stack[at++](req, res, next)
          : out ? out() : (res.statusCode = 404, res.end('Cannot ' + req.method + ' ' + req.url)));
        next();
      };
      app.use((req, res, next) => { res.setHeader('x-first', '1'); next(); });
      app.use((req, res, next) => (req.url === '/' ? res.end('found') : next()));
      module.exports = app;`;
    const express = await serve({ 'app.js': connectLike });
    expect(await express.get('/')).toMatchObject({ text: 'found', headers: { 'x-first': '1' } });
    expect(await express.get('/x')).toMatchObject({ status: 404, text: 'Cannot GET /x' });
    const koaLike = `class Koa { use() { return this; } callback() { return (req, res) => res.end('koa'); } }
      module.exports = new Koa();`;
    expect((await (await serve({ 'app.js': koaLike })).get('/')).text).toBe('koa');
  });

  test('handler: one that throws or rejects is a 500, its stack is on stderr, and the program goes on', async () => {
    const launcher = await serve({
      'app.js': `module.exports = async (req, res) => {
        if (req.url === '/after') res.end('whole');
        if (req.url === '/late') { res.write('begun'); await new Promise(setImmediate); }
        if (req.url !== '/') throw new TypeError('at ' + req.url);
        res.end('fine');
      };
      module.exports.sync = (req, res) => { throw new TypeError('sync'); };`,
    });
    expect(await launcher.get('/x')).toMatchObject({ status: 500, text: 'Internal Server Error\n' });
    expect((await launcher.get('/after')).text).toBe('whole');
    await expect(launcher.get('/late')).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    await launcher.until(() => launcher.stderr.includes('TypeError: at /late'));
    expect(launcher.stderr).not.toContain('init1.js');
    expect((await launcher.get('/')).text).toBe('fine');
    const sync = await serve({ 'app.js': `module.exports = (req, res) => { throw new Error('sync'); };` });
    expect((await sync.get('/')).status).toBe(500);
  });

  test('streams: go both ways with back-pressure, big bodies whole', async () => {
    const launcher = await serve({ 'app.js': 'module.exports = (req, res) => req.pipe(res);' });
    const body = Buffer.alloc(12 * 1024 * 1024, 'abcdefghijk');
    expect((await launcher.get('/', { method: 'POST', body })).body.equals(body)).toBe(true);
  });

  test('the server: adds no names of its own, takes 60 KiB of headers, tells of a length', async () => {
    const launcher = await serve({ 'app.js': 'module.exports = (req, res) => res.end(req.headers["x-big"]);' });
    const big = 'x'.repeat(60 * 1024);
    const answer = await launcher.get('/', { headers: { 'x-big': big } });
    expect(answer.text).toBe(big);
    const names = answer.rawHeaders.filter((_, index) => index % 2 === 0);
    expect(names.sort()).toEqual(['Connection', 'Content-Length']);
  });

  test('a kept connection: is never told when it ends', async () => {
    const launcher = await serve({ 'app.js': 'module.exports = (req, res) => res.end("x");' });
    const answer = await launcher.get('/', { agent: keptConnection() });
    expect(answer.headers.connection).toBe('keep-alive');
    expect(answer.headers).not.toHaveProperty('keep-alive');
  });

  test("an upgrade: is the program's, which hangs its listener on the server", async () => {
    const launcher = await serve({
      'app.js': `module.exports = (req, res) => {
        req.socket.server.on('upgrade', (upgrade, socket) => {
          socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n');
          socket.pipe(socket);
        });
        res.end();
      };`,
    });
    await launcher.get('/');
    const socket = connect(launcher.port, '127.0.0.1').setEncoding('utf8');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    expect(String(await once(socket, 'data'))).toContain('101 Switching');
    socket.write('echo');
    expect(String(await once(socket, 'data'))).toBe('echo');
    // A connection that was upgraded is no request that runs.
    expect((await launcher.halt()).code).toBe(0);
  });

  test('a program that ends itself in a request: ends with its own code', async () => {
    const launcher = await serve({ 'app.js': 'module.exports = (req, res) => process.exit(7);' });
    await expect(launcher.get('/')).rejects.toThrow();
    expect((await launcher.ended).code).toBe(7);
    expect(await launcher.receive()).toBeUndefined();
  });

  test('an exception that nothing catches: ends the program with 1 and its stack, as Node has it', async () => {
    const launcher = await serve({
      'app.js': `module.exports = (req, res) => setImmediate(() => { throw new Error('uncaught'); });`,
    });
    await expect(launcher.get('/')).rejects.toThrow();
    expect((await launcher.ended).code).toBe(1);
    expect(launcher.stderr).toContain('Error: uncaught');
  });
});
