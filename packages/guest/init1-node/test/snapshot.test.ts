import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from './harness.ts';
import { type Files, onEachNode, type Suite } from './suite.ts';

const PREPARED = { type: 'prepared' };
const RESUMED = { type: 'resumed' };

/** Programs of each interface, that tell what they were called with. `hooks` is code of a CommonJS module. */
const programs = {
  handler: (hooks: string): Files => ({
    'app.js': `const calls = [];
      module.exports = (req, res) => { calls.push(req.url); res.end(JSON.stringify(calls)); };
      ${hooks}`,
  }),
  listen: (hooks: string): Files => ({
    'app.js': `const calls = [];
      require('http').createServer((req, res) => { calls.push(req.url); res.end(JSON.stringify(calls)); })
        .listen(process.env.PORT);
      ${hooks}`,
  }),
  fetch: (hooks: string): Files => ({
    'app.js': `const calls = [];
      exports.fetch = ({ url }) => { calls.push(new URL(url).pathname); return new Response(JSON.stringify(calls)); };
      ${hooks}`,
  }),
};

const HOOKS = `exports.beforeSnapshot = module.exports.beforeSnapshot = () => { calls.push('before'); };
  module.exports.afterRestore = async () => { await null; calls.push('after'); };`;

function kindsOf({ version }: Suite): Array<keyof typeof programs> {
  return version.major < 18 ? ['handler', 'listen'] : ['handler', 'listen', 'fetch'];
}

/** Established TCP connections of this machine that one end of has that port. */
async function connectionsAt(port: number): Promise<string[]> {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8')));
  const rows = tables.flatMap((table) => table.split('\n').slice(1));
  return rows.filter((row) => {
    const [, local = '', remote = '', state] = row.trim().split(/\s+/);
    return state === '01' && (local.endsWith(hex) || remote.endsWith(hex));
  });
}

/** What sockets a process has open. */
async function socketsOf(pid: number | undefined): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all((await readdir(folder)).map((fd) => readlink(join(folder, fd))));
  return links.filter((link) => link.startsWith('socket:')).sort();
}

await onEachNode('snapshot', (suite) => {
  const { launch, serve } = suite;

  test.each(kindsOf(suite))('%s: priming reaches no line of the program, and leaves no connection', async (kind) => {
    const launcher = await serve(programs[kind](''), { port: await freePort() });
    expect(await launcher.prepare()).toEqual(PREPARED);
    expect(await connectionsAt(launcher.port)).toEqual([]);
    expect(await launcher.resume()).toEqual(RESUMED);
    const { text, headers } = await launcher.get('/first');
    expect(text).toBe('["/first"]');
    // The launcher's server leaves it to the host.
    expect('date' in headers).toBe(kind === 'listen');
    expect(launcher.stderr).toBe('');
    expect(await launcher.halt()).toEqual({ code: 0, signal: null });
  });

  test.each(kindsOf(suite))('%s: hooks are called once each, in order, and waited for', async (kind) => {
    const launcher = await serve(programs[kind](HOOKS), { port: await freePort() });
    expect(await launcher.prepare()).toEqual(PREPARED);
    expect(await launcher.resume()).toEqual(RESUMED);
    expect(JSON.parse((await launcher.get('/')).text)).toEqual(['before', 'after', '/']);
  });

  test('hooks: are found as exports of an ES module, and beside fetch in its default export', async () => {
    const lines = "console.log('before')";
    const named = await serve({
      'a.mjs': `export default (req, res) => res.end(); export const beforeSnapshot = async () => ${lines};`,
    });
    expect(await named.prepare()).toEqual(PREPARED);
    await named.until(() => named.stdout === 'before\n');
    const handler = '(req, res) => res.end()';
    const member = await serve({
      'a.mjs': `export default Object.assign(${handler}, { beforeSnapshot() { ${lines}; } });`,
    });
    expect(await member.prepare()).toEqual(PREPARED);
    await member.until(() => member.stdout === 'before\n');
  });

  test('the guide’s example: is told of both, and answers', async (context) => {
    context.skip(suite.version.major < 18, 'it is a fetch program');
    const guide = await readFile(new URL('../../../../docs/guides/snapshots.md', import.meta.url), 'utf8');
    const launcher = await serve({ 'index.mjs': /```js\n([\s\S]*?)```/.exec(guide)?.[1] ?? '' });
    const start = (await launcher.get('/')).text;
    expect(await launcher.prepare()).toEqual(PREPARED);
    expect(await launcher.resume()).toEqual(RESUMED);
    const wake = (await launcher.get('/')).text;
    expect([start, wake]).toEqual([0, 1].map(() => expect.stringMatching(/^up since \d{4}-.*Z\n$/)));
    expect(wake > start).toBe(true);
    expect(launcher.stdout).toBe('nobody was here yet\n');
  });

  test('the reserved path: is the program’s for everybody else, at all times', async () => {
    const launcher = await serve(programs.handler(''));
    expect((await launcher.get('/.vmlet/prime')).text).toBe('["/.vmlet/prime"]');
    await launcher.prepare();
    await launcher.resume();
    const headers = { 'x-vmlet-prime': '' };
    expect((await launcher.get('/.vmlet/prime', { headers })).text).toBe('["/.vmlet/prime","/.vmlet/prime"]');
  });

  test.each(kindsOf(suite))('%s: a path that the program names is requested before the freeze', async (kind) => {
    const variables = { VMLET_PRIME_PATH: '/warm?all=1' };
    const launcher = await serve(programs[kind](''), { port: await freePort(), variables });
    expect(await launcher.prepare()).toEqual(PREPARED);
    expect(await connectionsAt(launcher.port)).toEqual([]);
    const calls = JSON.parse((await launcher.get('/')).text) as string[];
    expect([...new Set(calls)]).toEqual([kind === 'fetch' ? '/warm' : '/warm?all=1', '/']);
  });

  test('a path that the program names and does not serve: is told in its log, and changes nothing', async () => {
    const text = "module.exports = (req, res) => { res.statusCode = 404; res.end('none'); };";
    const launcher = await serve({ 'app.js': text }, { variables: { VMLET_PRIME_PATH: '/warm' } });
    expect(await launcher.prepare()).toEqual(PREPARED);
    await launcher.until(() => launcher.stderr.includes('\n'));
    expect(launcher.stderr).toBe(
      'vmlet: Error: Cannot prime "/warm": status 404, expected an answer of status 200 to 399\n',
    );
    expect((await launcher.get('/')).text).toBe('none');
  });

  test('variables that come late: are there for afterRestore, and PORT stays', async () => {
    const hooks = `module.exports.afterRestore = () => calls.push([process.env.LATE, process.env.PORT]);`;
    const launcher = await serve(programs.handler(hooks), { port: await freePort(), variables: { LATE: 'no' } });
    await launcher.prepare();
    expect(await launcher.resume({ LATE: 'é', PORT: '1', VMLET_CONTROL_FD: '3' })).toEqual(RESUMED);
    expect(JSON.parse((await launcher.get('/')).text)).toEqual([['é', String(launcher.port)], '/']);
    expect(await launcher.resume({ 'A=B': 'x' })).toMatchObject({
      type: 'failed',
      phase: 'resume',
      code: 'LOAD_MALFORMED',
    });
  });

  test.each(["throw new RangeError('not now')", "await null; throw new RangeError('not now')"])(
    'a hook that fails: fails snapshot or wake with its words, by %s',
    async (line) => {
      const hooks = `exports.fails = async () => { ${line}; };
        Object.assign(module.exports, { beforeSnapshot: exports.fails, afterRestore: exports.fails });`;
      const launcher = await serve(programs.handler(hooks));
      const failed = { type: 'failed', code: 'HOOK_FAILED', detail: expect.stringContaining('app.js') };
      const state = 'RangeError: not now, expected it to return';
      const message = `Cannot call "beforeSnapshot": ${state}`;
      expect(await launcher.prepare()).toMatchObject({ ...failed, phase: 'snapshot', message });
      await launcher.until(() => launcher.stderr.includes(`vmlet: HOOK_FAILED: ${message}\n`));
      const after = `Cannot call "afterRestore": ${state}`;
      expect(await launcher.resume()).toMatchObject({ ...failed, phase: 'resume', message: after });
      expect((await launcher.get('/')).text).toBe('["/"]');
    },
  );

  test.each(kindsOf(suite))('without a program: is warmed up, woken, and loads %s as ever', async (kind) => {
    const files = programs[kind](HOOKS);
    const launcher = await launch(files);
    expect(await launcher.receive()).toMatchObject({ type: 'ready' });
    expect(await launcher.prepare()).toEqual(PREPARED);
    expect(await launcher.resume({ EARLY: '1' })).toEqual(RESUMED);
    launcher.sendLoad('app.js', { port: await freePort() });
    const loaded = await launcher.receive();
    expect(loaded, launcher.stderr).toMatchObject({ type: 'loaded', interface: kind });
    launcher.port = loaded?.port ?? 0;
    expect((await launcher.get('/')).text).toBe('["/"]');
    // The program's own snapshot may be made of a clone of the runtime's.
    expect(await launcher.prepare()).toEqual(PREPARED);
    expect(await launcher.resume()).toEqual(RESUMED);
    expect(JSON.parse((await launcher.get('/')).text)).toEqual(['/', 'before', 'after', '/']);
    expect(launcher.stderr).toBe('');
  });

  test('without a program: nothing of the warming up is seen by one that comes', async () => {
    const text = `const seen = { argv: process.argv.slice(1), main: require.main === module, listeners:
        process.eventNames().filter((name) => /exit|SIGTERM/i.test(String(name))).map(String),
      cached: Object.keys(require.cache) };
      module.exports = (req, res) => res.end(JSON.stringify(seen));`;
    const seen = [];
    for (const isWarm of [false, true]) {
      const launcher = await launch({ 'app.js': text });
      await launcher.receive();
      const sockets = await socketsOf(launcher.child.pid);
      if (isWarm) expect(await launcher.prepare()).toEqual(PREPARED);
      expect(await socketsOf(launcher.child.pid)).toEqual(sockets);
      launcher.sendLoad('app.js');
      launcher.port = (await launcher.receive())?.port ?? 0;
      seen.push((await launcher.get('/')).text.replaceAll(launcher.code, ''));
      expect(await launcher.halt()).toEqual({ code: 0, signal: null });
    }
    expect(seen[1]).toBe(seen[0]);
  });
});
