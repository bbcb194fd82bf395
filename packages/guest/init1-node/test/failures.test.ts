import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { onEachNode } from './suite.ts';

await onEachNode('failures', ({ failure, version }) => {
  test('ENTRYPOINT_NOT_FOUND: names what was looked for, and near names', async () => {
    const failed = await failure({ 'server.js': '', 'readme.md': '' }, { entrypoint: 'sevrer.js' });
    expect(failed).toMatchObject({ code: 'ENTRYPOINT_NOT_FOUND', exitCode: 1 });
    expect(failed.message).toMatch(
      /^Cannot find entrypoint "sevrer.js": no file "\/.*\/sevrer.js", expected a module; near files: server.js$/,
    );
    expect(failed.stderr).toContain(`vmlet: ENTRYPOINT_NOT_FOUND: ${failed.message}`);
    const main = await failure({ 'package.json': '{"main":"dist/x.js"}' }, { entrypoint: '.' });
    expect(main.message).toContain('package.json names "dist/x.js", which is missing');
    const none = await failure({ 'a.txt': '' }, { entrypoint: '.' });
    expect(none.message).toContain('neither package.json nor index.js');
    expect((await failure({ 'package.json': '{' }, { entrypoint: '.' })).message).toContain('does not parse');
  });

  test('MODULE_NOT_FOUND: tells a missing dependency from a missing file, in both kinds of module', async () => {
    for (const [file, use] of [
      ['app.js', (name: string) => `require('${name}')`],
      ['app.mjs', (name: string) => `import '${name}'`],
    ] as const) {
      const dependency = await failure({ [file]: use('no-such-thing') });
      expect(dependency).toMatchObject({ code: 'MODULE_NOT_FOUND', exitCode: 1 });
      expect(dependency.message).toContain('the dependency "no-such-thing" is missing, expected it in package.json');
      expect(dependency.detail).toContain(file);
      const own = await failure({ [file]: use('./lib/x.js') });
      expect(own).toMatchObject({
        code: 'MODULE_NOT_FOUND',
        message: expect.stringMatching(/the module "[^"]*lib\/x.js", which it imports, is missing/),
      });
    }
  });

  test("IMPORT_FAILED: has the stack of the program, without the launcher's frames", async () => {
    for (const file of ['app.js', 'app.mjs']) {
      const failed = await failure({ [file]: "const f = () => { throw new RangeError('text'); };\nf();" });
      expect(failed).toMatchObject({
        code: 'IMPORT_FAILED',
        exitCode: 1,
        message: expect.stringContaining('RangeError: text'),
      });
      expect(failed.detail).toMatch(new RegExp(`RangeError: text\\n    at f .*${file}:1:\\d+`));
      expect(failed.detail).not.toMatch(/init1\.js|internal\//);
      expect(failed.stderr).toContain(failed.detail);
    }
    const odd = await failure({ 'app.js': "throw 'a\\ud800\\n string'" });
    expect(odd.message).toContain('was thrown, expected a module that loads');
  });

  test('IMPORT_FAILED: shows file, line and source of a syntax error, in the entry and in what it imports', async () => {
    for (const [extension, load] of [
      ['.cjs', "require('./inner.cjs')"],
      ['.mjs', "import './inner.mjs'"],
    ] as const) {
      const bad = 'const a = 1;\nlet b = = 2;\n';
      for (const files of [
        { [`app${extension}`]: bad },
        { [`app${extension}`]: `console.log('ran');\n${load}`, [`inner${extension}`]: bad },
      ]) {
        const failed = await failure(files);
        expect(failed.code).toBe('IMPORT_FAILED');
        const name = Object.keys(files).at(-1);
        expect(failed.message).toMatch(new RegExp(`SyntaxError: Unexpected token '=' at /.*/${name}:2, expected`));
        expect(failed.detail).toMatch(new RegExp(`${name}:2\nlet b = = 2;\n {8}\\^\n\nSyntaxError`));
      }
    }
  });

  test('IMPORT_FAILED: an import of a name that is not there shows its line', async () => {
    const failed = await failure({ 'app.mjs': "import { none } from './inner.mjs';\n", 'inner.mjs': '' });
    expect(failed).toMatchObject({
      code: 'IMPORT_FAILED',
      message: expect.stringContaining('does not provide an export named'),
    });
    expect(failed.detail).toContain('import { none }');
  });

  test('IMPORT_FAILED: says what an ES module in a CommonJS package needs', async () => {
    const failed = await failure({ 'app.js': 'export default 1;', 'package.json': '{"type":"commonjs"}' });
    expect(failed).toMatchObject({
      code: 'IMPORT_FAILED',
      message: expect.stringContaining('expected "type": "module" in package.json'),
    });
  });

  test('IMPORT_FAILED: a top-level await that never ends is no wait', async () => {
    const failed = await failure({ 'app.mjs': 'await new Promise(() => {});' });
    expect(failed).toMatchObject({
      code: 'IMPORT_FAILED',
      exitCode: 1,
      message: expect.stringContaining('top-level await never ends'),
    });
  });

  test('detail: is cut to 64 KiB of whole characters, and keeps its start', async () => {
    const failed = await failure({ 'app.js': "throw new Error('start ' + '\\u20ac'.repeat(100000) + '\\ud800')" });
    expect(failed.detail).toMatch(/Error: start €/);
    expect(Buffer.byteLength(failed.detail)).toBeLessThanOrEqual(65_536);
    expect(failed.message.length).toBeLessThanOrEqual(4096);
    const control = await failure({
      'app.js': "const error = new Error('x'); error.stack = 'Error: ' + '\\u0001'.repeat(70000); throw error;",
    });
    expect(control.detail.length).toBeLessThanOrEqual(65_536);
  });

  test('EXPORT_NOT_FOUND: names near exports', async () => {
    for (const files of [
      { 'app.js': 'exports.handler = () => {}; exports.b = 1;' },
      { 'app.mjs': 'export const handler = () => {}, b = 1;' },
    ]) {
      const failed = await failure(files, { entrypoint: `${Object.keys(files)[0]}:handlr` });
      expect(failed).toMatchObject({
        code: 'EXPORT_NOT_FOUND',
        message: expect.stringContaining('near names: handler'),
      });
    }
  });

  test('NOTHING_TO_SERVE: a named export, or interface, that cannot be served', async () => {
    const named = await failure({ 'app.js': 'exports.app = { a: 1 };' }, { entrypoint: 'app.js:app' });
    expect(named).toMatchObject({
      code: 'NOTHING_TO_SERVE',
      message: expect.stringContaining('found an object with a, expected'),
    });
    const fetch = await failure({ 'app.js': 'module.exports = class App {};' }, { interface: 'fetch' });
    expect(fetch).toMatchObject({
      code: 'NOTHING_TO_SERVE',
      message: expect.stringContaining('found the class "App"'),
    });
  });

  test('NOTHING_LISTENS: as soon as nothing could listen any more', async () => {
    const failed = await failure({
      'app.js': "module.exports = { start() {} }; require('dns').lookup('localhost', () => {});",
    });
    expect(failed).toMatchObject({ code: 'NOTHING_LISTENS', exitCode: 1 });
    expect(failed.message).toContain('it exports an object with start and nothing listens');
    expect((await failure({ 'app.mjs': '' })).code).toBe('NOTHING_LISTENS');
    const listen = await failure({ 'app.js': 'module.exports = (req, res) => {};' }, { interface: 'listen' });
    expect(listen.code).toBe('NOTHING_LISTENS');
  });

  test('PROGRAM_EXITED: at import, and before it listens', async () => {
    const exited = await failure({ 'app.js': 'process.exit(4);' });
    expect(exited).toMatchObject({
      code: 'PROGRAM_EXITED',
      exitCode: 4,
      message: expect.stringContaining('exit code 4'),
    });
    const text = "require('dns').lookup('localhost', () => { throw new Error('no database'); });";
    const thrown = await failure({ 'app.js': text });
    expect(thrown).toMatchObject({
      code: 'PROGRAM_EXITED',
      exitCode: 1,
      message: expect.stringContaining('Error: no database, which nothing caught'),
    });
    expect(thrown.detail).toContain('app.js:1');
    expect(thrown.stderr).toContain('Error: no database');
    const forced = await failure({
      'app.js': "process.exit = () => {}; process.on('exit', () => { process.exitCode = 0; }); throw new Error('x');",
    });
    expect(forced.code).toBe('IMPORT_FAILED');
  });

  test("PORT_IN_USE: for the launcher's server and for the program's own", async () => {
    const taken = createServer().listen(0, '0.0.0.0');
    onTestFinished(() => void taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const ours = await failure({ 'app.js': 'module.exports = (req, res) => {};' }, { port });
    expect(ours).toMatchObject({ code: 'PORT_IN_USE', exitCode: 1, message: expect.stringContaining(`port ${port}`) });
    const theirs = await failure(
      { 'app.js': "require('http').createServer().listen(process.env.PORT, '0.0.0.0');" },
      { port },
    );
    expect(theirs).toMatchObject({ code: 'PORT_IN_USE', exitCode: 1 });
  });

  test('LOAD_MALFORMED: a frame that nobody would send', async () => {
    expect((await failure({ 'app.js': '' }, { interface: 'asgi' })).code).toBe('LOAD_MALFORMED');
    for (const variables of [{ A: '\0' }, { A: 1 }, { 'A=B': 'x' }, { '': 'x' }]) {
      expect((await failure({ 'app.js': '' }, { variables })).code).toBe('LOAD_MALFORMED');
    }
  });

  test('TYPESCRIPT_UNSUPPORTED: says which Node would do', async () => {
    const jsx = await failure({ 'app.tsx': 'export default 1' });
    expect(jsx).toMatchObject({
      code: 'TYPESCRIPT_UNSUPPORTED',
      message: expect.stringContaining('no version of Node runs .tsx files'),
    });
    if (version.major >= 22) return;
    const failed = await failure({ 'app.ts': 'export default 1' });
    expect(failed).toMatchObject({
      code: 'TYPESCRIPT_UNSUPPORTED',
      message: expect.stringContaining('which Node 22.18 and 24 do'),
    });
  });

  test('FETCH_UNSUPPORTED: says which Node would do', async () => {
    if (version.major >= 18) return;
    const failed = await failure({ 'app.js': 'exports.fetch = (request) => {};' });
    expect(failed).toMatchObject({
      code: 'FETCH_UNSUPPORTED',
      message: expect.stringContaining('expected Node 18 or later'),
    });
  });
});
