import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort, temporaryFolder } from './harness.ts';
import { onEachNode } from './suite.ts';

const telling = (expression: string) => `(req, res) => res.end(String(JSON.stringify(${expression})))`;

await onEachNode('load', ({ serve, launch, version }) => {
  /** What an expression is in a program, in a CommonJS or ES module. */
  const told = async (
    expression: string,
    options: Parameters<typeof serve>[1] & { head?: string; module?: boolean } = {},
  ) => {
    const { head = '', module = false, ...rest } = options;
    const handler = telling(expression);
    const files = module
      ? { 'app.mjs': `${head}\nexport default ${handler};` }
      : { 'app.js': `${head}\nmodule.exports = ${handler};` };
    return JSON.parse((await (await serve(files, rest)).get('/')).text);
  };

  test('ready: names launcher, version and features, before anything of a program is known', async () => {
    const launcher = await launch();
    const features = [...(version.major >= 18 ? ['fetch'] : []), ...(version.major >= 22 ? ['typescript'] : [])];
    expect(await launcher.receive()).toMatchObject({
      launcher: 'node',
      version: expect.stringMatching(`^${version.major}\\.`),
      features,
    });
  });

  test("variables: override defaults, but PORT and the control channel are the platform's", async () => {
    const variables = { HOME: '/mine', MINE: 'é', PORT: '9', VMLET_CONTROL_FD: '0', TZ: 'Asia/Tokyo' };
    const seen = await told('[process.env, new Date(0).getHours()]', { variables });
    expect(seen[0]).toMatchObject({ HOME: '/mine', MINE: 'é', PORT: '0', VMLET: '1' });
    expect(seen[0]).not.toHaveProperty('VMLET_CONTROL_FD');
    expect(seen[1]).toBe(9);
  });

  test('NODE_PATH among the variables counts', async () => {
    const files = {
      'app.js': "const inner = require('inner'); module.exports = (req, res) => res.end(inner);",
      'lib/inner.js': "module.exports = 'inner';",
    };
    expect((await (await serve(files, { variables: { NODE_PATH: 'lib' } })).get('/')).text).toBe('inner');
  });

  test('children: do not have the control channel', async () => {
    const open =
      "require('child_process').execFileSync('/bin/ls', ['/proc/self/fd'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().split('\\n')";
    expect(await told(open)).not.toContain('4');
  });

  test('a CommonJS program: is the main module, in its own folder, with no trace of the launcher', async () => {
    const seen = await told(
      '[require.main === module, module.id, module.parent, process.argv.length, process.argv[1] === __filename, process.cwd() === __dirname, Object.keys(require.cache).length]',
    );
    expect(seen).toEqual([true, '.', null, 2, true, true, 1]);
    const idiom =
      "const app = (req, res) => res.end('main'); if (require.main === module) require('http').createServer(app).listen(process.env.PORT);";
    expect((await serve({ 'app.js': idiom }, { port: await freePort() })).loaded.interface).toBe('listen');
  });

  test('an ES module: is argv[1], and there is no main module', async () => {
    const head =
      "import { fileURLToPath } from 'url'; import { createRequire } from 'module';\nconst require = createRequire(import.meta.url);";
    const seen = await told(
      '[process.argv[1] === fileURLToPath(import.meta.url), require.main === undefined, process.mainModule === undefined]',
      { head, module: true },
    );
    expect(seen).toEqual([true, true, true]);
  });

  test('listeners of the launcher: are gone once the program is loaded', async () => {
    const names =
      "['exit', 'beforeExit', 'uncaughtException', 'uncaughtExceptionMonitor', 'unhandledRejection', 'SIGTERM']";
    expect(await told(`${names}.map((name) => process.listenerCount(name))`)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('node_modules beside the code: are found from both kinds of module', async () => {
    const dependency = {
      'node_modules/dep/package.json': '{"main":"main.js"}',
      'node_modules/dep/main.js': "module.exports = 'dep';",
    };
    const cjs = await serve({
      'app.js': "const dep = require('dep'); module.exports = (req, res) => res.end(dep);",
      ...dependency,
    });
    expect((await cjs.get('/')).text).toBe('dep');
    const esm = await serve({
      'app.mjs': "import dep from 'dep'; export default (req, res) => res.end(dep);",
      ...dependency,
    });
    expect((await esm.get('/')).text).toBe('dep');
  });

  test('top-level await: is waited for', async () => {
    const head =
      "const { readFile } = await import('fs/promises'); const size = (await readFile(process.argv[1])).length;";
    expect(await told('size', { head, module: true })).toBeGreaterThan(0);
  });

  test('entrypoint: may leave out an extension, be a folder or a link, or name an export', async () => {
    const app = `module.exports = ${telling('require("path").basename(__filename)')};`;
    const of = async (entrypoint: string, files: Record<string, string>) =>
      (await (await serve(files, { entrypoint })).get('/')).text;
    expect(await of('app', { 'app.js': app })).toBe('"app.js"');
    expect(await of('src/app.js', { 'src/app.js': app })).toBe('"app.js"');
    expect(await of('.', { 'index.js': app })).toBe('"index.js"');
    expect(await of('.', { 'package.json': '{"main":"lib/x"}', 'lib/x.js': app })).toBe('"x.js"');
    expect(await of('sub', { 'sub/package.json': '{"main":"./lib"}', 'sub/lib/index.js': app })).toBe('"index.js"');
    const exports = '{"main":"no.js","exports":{".":{"import":{"default":"./e.cjs"}}}}';
    expect(await of('.', { 'package.json': exports, 'e.cjs': app })).toBe('"e.cjs"');
    expect(await of('.', { 'package.json': '{"module":"m.js"}', 'm.js': app })).toBe('"m.js"');
    expect(await of('app:handler', { 'app.js': `exports.handler = ${telling('1')};` })).toBe('1');
    expect(await of('app.mjs:handler', { 'app.mjs': `export const handler = ${telling('2')};` })).toBe('2');
    const real = await temporaryFolder();
    const launcher = await launch({ 'real.js': app });
    await symlink(join(launcher.code, 'real.js'), join(real, 'link.js'));
    expect((await launcher.load(join(real, 'link.js')))?.type).toBe('loaded');
    expect((await launcher.get('/')).text).toBe('"real.js"');
  });

  test('a file whose package does not say what it is: is told by its syntax', async () => {
    const cjs =
      "const text = `\nimport this\nexport that`; const f = async () => { await 1; }; module.exports = (req, res) => res.end('cjs');";
    expect((await (await serve({ 'app.js': `#!/usr/bin/env node\n${cjs}` })).get('/')).text).toBe('cjs');
    if (version.major < 22) return;
    const esm = "import { readFile } from 'fs';\nexport default (req, res) => res.end(typeof readFile);";
    expect((await (await serve({ 'app.js': esm })).get('/')).text).toBe('function');
  });

  test('interface: one that the message names wins over what inspection would say', async () => {
    const files = { 'app.js': "module.exports = (...both) => both[1].end('handler');" };
    expect((await (await serve(files, { interface: 'handler' })).get('/')).text).toBe('handler');
  });

  test('preload: loads what is named, and leaves no variable', async () => {
    const seen = await told("[process.moduleLoadList.includes('NativeModule zlib'), 'VMLET_PRELOAD' in process.env]", {
      env: { VMLET_PRELOAD: 'fetch,zlib,no_such_module' },
    });
    expect(seen).toEqual([true, false]);
  });

  test('a load right behind ready, and a halt right behind a load: are not lost', async () => {
    const launcher = await launch({ 'app.js': `module.exports = ${telling('1')};` });
    launcher.sendLoad('app.js');
    launcher.send({ type: 'halt', graceMs: 0 });
    expect((await launcher.ended).code).toBe(0);
  });
});
