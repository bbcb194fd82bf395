import { expect, test } from 'vitest';
import { freePort, keptConnection } from './harness.ts';
import { onEachNode } from './suite.ts';

const SERVER = "require('http').createServer((req, res) => res.end(JSON.stringify(server.address())))";

await onEachNode('listen', ({ serve, launch }) => {
  test('listen: is seen in each of its forms, from CommonJS and ES modules', async () => {
    for (const call of [
      'listen(process.env.PORT)',
      'listen(+process.env.PORT, "0.0.0.0")',
      'listen({ port: process.env.PORT })',
    ]) {
      const launcher = await serve({ 'app.js': `const server = ${SERVER}.${call};` }, { port: await freePort() });
      expect(launcher.loaded).toMatchObject({ interface: 'listen', server: expect.stringContaining('node ') });
      expect(JSON.parse((await launcher.get('/')).text)).toMatchObject({ port: launcher.port });
    }
    const esm = "import http from 'http';\nconst server = http.createServer((req, res) => res.end('esm'));\n";
    const launcher = await serve({ 'app.mjs': `${esm}server.listen(process.env.PORT);` }, { port: await freePort() });
    expect((await launcher.get('/')).text).toBe('esm');
  });

  test('loopback: every address takes its place, which is said once', async () => {
    for (const host of ['127.0.0.1', 'localhost', '::1']) {
      for (const call of [
        `listen(process.env.PORT, '${host}')`,
        `listen({ port: process.env.PORT, host: '${host}' })`,
      ]) {
        const launcher = await serve({ 'app.js': `const server = ${SERVER}.${call};` }, { port: await freePort() });
        expect(JSON.parse((await launcher.get('/')).text).address).toMatch(host === '::1' ? /^::$/ : /^0\.0\.0\.0$/);
        const notice = `vmlet: ${host} is reached from inside the machine only`;
        await launcher.until(() => launcher.stderr.split(notice).length === 2);
      }
    }
  });

  test('localhost on both families: the second server is left alone', async () => {
    // What Fastify does with its default host.
    const text = `const server = ${SERVER};
      server.listen(process.env.PORT, '127.0.0.1', () => {
        const second = ${SERVER};
        second.on('error', (error) => console.log('second', error.code));
        second.listen(process.env.PORT, '::1', () => console.log('second', second.address().address));
      });`;
    const launcher = await serve({ 'app.js': text }, { port: await freePort() });
    await launcher.until(() => /second (::1|EADDRNOTAVAIL)/.test(launcher.stdout));
    expect((await launcher.get('/')).status).toBe(200);
  });

  test('another port: is told on stderr, and the launcher goes on waiting', async () => {
    const text = `require('http').createServer().listen(0, () => setImmediate(() => ${SERVER}.listen(process.env.PORT)));
      const server = { address: () => 0 };`;
    const launcher = await serve({ 'app.js': text }, { port: await freePort() });
    expect(launcher.stderr).toMatch(/vmlet: the program listens on port \d+, expected \$PORT, which is \d+/);
  });

  test('a server that listens later: is waited for', async () => {
    const text = `let server; require('dns').lookup('localhost', () => { server = ${SERVER}.listen(process.env.PORT); });`;
    const launcher = await serve({ 'app.js': text }, { port: await freePort() });
    expect((await launcher.get('/')).status).toBe(200);
  });

  test('a program that listens and exports its application: is served by its own server', async () => {
    const text = `const app = (req, res) => res.end('app'); require('http').createServer(app).listen(process.env.PORT);`;
    const launcher = await serve({ 'app.js': `${text} module.exports = app;` }, { port: await freePort() });
    expect(launcher.loaded.interface).toBe('listen');
    expect((await launcher.get('/')).text).toBe('app');
  });

  test('a program that exports its application and listens later: takes the port over', async () => {
    const text = `const app = (req, res) => {
        if (req.url === '/later') require('http').createServer((q, r) => r.end('own')).listen(process.env.PORT, () => res.end());
        else res.end('app');
      };
      module.exports = app;`;
    const launcher = await serve({ 'app.js': text }, { port: await freePort() });
    expect(launcher.loaded.interface).toBe('handler');
    expect((await launcher.get('/')).text).toBe('app');
    await launcher.get('/later');
    expect((await launcher.get('/')).text).toBe('own');
    expect((await launcher.halt()).code).toBe(0);
  });

  test('a server that is exported without listening: is made to listen', async () => {
    const launcher = await serve(
      { 'app.js': "module.exports = require('http').createServer((q, r) => r.end('x'));" },
      { port: await freePort() },
    );
    expect(launcher.loaded.interface).toBe('listen');
    expect((await launcher.get('/')).text).toBe('x');
  });

  test('a cluster: its workers listen, and the program is served', async () => {
    const text = `const cluster = require('cluster');
      if (cluster.isMaster) cluster.fork();
      else require('http').createServer((req, res) => res.end('worker ' + cluster.worker.id)).listen(process.env.PORT);`;
    const launcher = await serve({ 'app.js': text }, { port: await freePort() });
    expect((await launcher.get('/')).text).toBe('worker 1');
  });

  test('a module that fails after it listens: is a program that crashed', async () => {
    const launcher = await serve(
      {
        'app.mjs': `import http from 'http';
          const told = new Promise((resolve) => process.once('SIGUSR2', resolve));
          http.createServer().listen(process.env.PORT);
          await told;
          throw new Error('late');`,
      },
      { port: await freePort() },
    );
    launcher.child.kill('SIGUSR2');
    expect((await launcher.ended).code).toBe(1);
    expect(launcher.stderr).toContain('Error: late');
    expect(await launcher.receive()).toBeUndefined();
  });

  test('halt: closes idle connections, refuses new ones, lets a running answer end, and exits with 0', async () => {
    const app = `(req, res) => {
      if (req.url === '/idle') return res.end();
      res.write('a');
      process.once('SIGUSR2', () => res.end('b'));
    }`;
    for (const text of [`module.exports = ${app};`, `require('http').createServer(${app}).listen(process.env.PORT);`]) {
      const launcher = await serve({ 'app.js': text }, { port: await freePort() });
      await launcher.get('/idle', { agent: keptConnection() });
      const running = await launcher.open('/', { agent: keptConnection() });
      const ended = launcher.halt();
      const knock = () => launcher.get('/idle').then(String, (error: NodeJS.ErrnoException) => error.code);
      while ((await knock()) !== 'ECONNREFUSED'); // what the halt does is seen from outside only
      launcher.child.kill('SIGUSR2');
      expect(String(Buffer.concat(await running.toArray()))).toBe('ab');
      expect(await ended).toEqual({ code: 0, signal: null });
    }
  });

  test('halt: is SIGTERM to a program that listens for it, which ends itself', async () => {
    const text = `const server = ${SERVER}.listen(process.env.PORT);
      process.on('SIGTERM', (signal) => server.close((error) => { console.log(signal, String(error)); process.exit(error ? 9 : 0); }));`;
    const own = await serve({ 'app.js': text }, { port: await freePort() });
    await own.get('/', { agent: keptConnection() });
    expect((await own.halt()).code).toBe(0);
    expect(own.stdout).toBe('SIGTERM undefined\n');
    const hook = `process.on('SIGTERM', () => setImmediate(() => console.log('cleaned up')));`;
    const ours = await serve({ 'app.js': `${hook} module.exports = (req, res) => res.end('x');` });
    await ours.get('/', { agent: keptConnection() });
    expect((await ours.halt()).code).toBe(0);
    expect(ours.stdout).toBe('cleaned up\n');
  });

  test('halt: ends a launcher that waits, or loads, or whose channel ends', async () => {
    const waiting = await launch();
    await waiting.receive();
    expect((await waiting.halt()).code).toBe(0);
    const loading = await launch({
      'app.mjs': "console.log('in'); await new Promise((resolve) => setInterval(resolve, 1e8));",
    });
    await loading.receive();
    loading.sendLoad('app.mjs');
    await loading.until(() => loading.stdout.includes('in'));
    expect((await loading.halt()).code).toBe(0);
    expect(await loading.receive()).toBeUndefined();
    const cut = await serve({ 'app.js': 'module.exports = (req, res) => res.end();' });
    cut.control.destroy();
    expect((await cut.ended).code).toBe(0);
  });
});
