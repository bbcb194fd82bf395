import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parsePackage } from '../detect/package-json.ts';
import { readIgnoreRules } from '../pack/ignore.ts';
import { walkFolder } from '../pack/walk.ts';
import { temporaryFolder } from '../testing.ts';
import { chooseModules } from './choose.ts';
import { npmError } from './install.ts';
import { npmSettings } from './npmrc.ts';
import { productionModules } from './production.ts';

const { signal } = new AbortController();
const run = promisify(execFile);

type Files = Record<string, string>;

const json = (value: object) => JSON.stringify(value);
/** An installed package. */
const pkg = (path: string, more: object = {}): Files => ({
  [`${path}/package.json`]: json({ name: path.split('node_modules/').at(-1), version: '1.0.0', ...more }),
  [`${path}/index.js`]: '',
});

async function choose(files: Files, { install }: { install?: boolean } = {}) {
  const folder = await temporaryFolder(files);
  try {
    const rules = await readIgnoreRules(folder.path);
    const manifest = parsePackage(files['package.json'] ?? '{}', 'package.json');
    const walked = await walkFolder(folder.path, { rules, signal });
    return await chooseModules(walked, { path: folder.path, rules, manifest, install, signal });
  } finally {
    await folder[Symbol.asyncDispose]();
  }
}

const APP = {
  'index.js': '',
  'package.json': json({ dependencies: { a: '1' }, devDependencies: { dev: '1' } }),
  ...pkg('node_modules/a', { dependencies: { b: '1', '@s/c': '1' }, optionalDependencies: { none: '1' } }),
  ...pkg('node_modules/a/node_modules/b'),
  ...pkg('node_modules/b', { version: '2.0.0' }),
  ...pkg('node_modules/@s/c', { peerDependencies: { a: '1', absent: '1' } }),
  ...pkg('node_modules/dev', { dependencies: { b: '2' } }),
  'node_modules/.bin/a': '->../a/index.js',
  'node_modules/.bin/dev': '->../dev/index.js',
  'node_modules/.package-lock.json': '{}',
};

describe('productionModules', () => {
  test('productionModules: finds what Node.js would find, and nothing that only development needs', async () => {
    const choice = await choose(APP);
    expect(choice.from === 'folder' && choice.files.map((file) => file.path)).toEqual([
      'node_modules/.bin/a',
      'node_modules/@s/c/index.js',
      'node_modules/@s/c/package.json',
      'node_modules/a/index.js',
      'node_modules/a/node_modules/b/index.js',
      'node_modules/a/node_modules/b/package.json',
      'node_modules/a/package.json',
    ]);
  });

  test('productionModules: follows links, when pnpm or workspaces made them', async () => {
    await using folder = await temporaryFolder({
      'package.json': json({ dependencies: { a: '1', own: 'workspace:*' } }),
      ...pkg('node_modules/.pnpm/a@1/node_modules/a', { dependencies: { b: '1' } }),
      ...pkg('node_modules/.pnpm/b@1/node_modules/b'),
      'node_modules/.pnpm/a@1/node_modules/b': '->../../b@1/node_modules/b',
      'node_modules/a': '->.pnpm/a@1/node_modules/a',
      'packages/own/package.json': json({ version: '1.0.0', dependencies: { c: '1' } }),
      'node_modules/own': '->../packages/own',
      ...pkg('node_modules/c'),
    });
    const manifest = parsePackage(await readFile(join(folder.path, 'package.json'), 'utf8'), 'package.json');
    const { packages, links, missing } = await productionModules(folder.path, manifest, signal);
    expect(missing).toEqual([]);
    expect(packages.map((each) => each.path).toSorted()).toEqual([
      'node_modules/.pnpm/a@1/node_modules/a',
      'node_modules/.pnpm/b@1/node_modules/b',
      'node_modules/c',
    ]);
    expect(links.toSorted()).toEqual(['node_modules/.pnpm/a@1/node_modules/b', 'node_modules/a', 'node_modules/own']);
  });

  test('productionModules: agrees with npm, when npm has installed this repository', async () => {
    const root = join(import.meta.dirname, '../../../..');
    const manifest = parsePackage(await readFile(join(root, 'package.json'), 'utf8'), 'package.json');
    const development = { ...manifest, dependencies: manifest.devDependencies };
    const { packages } = await productionModules(root, development, signal);
    const lock = JSON.parse(await readFile(join(root, 'node_modules/.package-lock.json'), 'utf8'));
    const installed = Object.keys(lock.packages).filter(
      (path) => path.includes('node_modules/') && !lock.packages[path].link,
    );
    expect(packages.map((each) => each.path).filter((path) => !installed.includes(path))).toEqual([]);
    expect(packages.length).toBeGreaterThan(100);
  });
});

describe('chooseModules', () => {
  const lock = (packages: object) => ({ 'package-lock.json': json({ lockfileVersion: 3, packages }) });
  const locked = {
    '': { dependencies: { a: '1' } },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/a/node_modules/b': { version: '1.0.0' },
    'node_modules/@s/c': { version: '1.0.0' },
  };
  const without = (...paths: string[]) =>
    Object.fromEntries(Object.entries(APP).filter(([path]) => !paths.some((each) => path.startsWith(each))));

  test.each([
    ['nothing is wanted', { 'package.json': '{}', 'index.js': '' }, 'nowhere'],
    ['all is there and no lock file says otherwise', APP, 'folder'],
    ['all is as the lock file says', { ...APP, ...lock(locked) }, 'folder'],
  ])('chooseModules: takes the folder’s, when %s', async (_, files, from) => {
    expect(await choose(files as Files)).toMatchObject({ from });
  });

  test.each([
    ['there is no node_modules', without('node_modules'), 'there is no node_modules'],
    ['one is missing', without('node_modules/@s'), '@s/c (wanted by a) is not installed'],
    [
      '.vmletignore leaves them out',
      { ...APP, '.vmletignore': 'node_modules\n' },
      '.vmletignore leaves node_modules out',
    ],
    [
      'the lock file has another version',
      { ...APP, ...lock({ ...locked, 'node_modules/a': { version: '2.0.0' } }) },
      'a 1.0.0 is installed, and package-lock.json has 2.0.0',
    ],
    [
      'the lock file has not followed',
      { ...APP, ...lock({ ...locked, '': { dependencies: {} } }) },
      'package-lock.json has not followed package.json ("a")',
    ],
    ['the lock file is damaged', { ...APP, 'package-lock.json': '{' }, 'not one of npm 7'],
    [
      'a native part is for another system',
      { ...APP, 'node_modules/a/build/x.node': 'x'.repeat(99) },
      'a is built for something unknown',
    ],
  ])('chooseModules: installs them anew, when %s', async (_, files, why) => {
    expect(await choose(files as Files)).toMatchObject({ from: 'install', why: expect.stringContaining(why) });
  });

  test('chooseModules: says what becomes of a lock file, when npm does not read it', async () => {
    const choice = await choose({ ...without('node_modules'), 'pnpm-lock.yaml': '' });
    expect(choice).toMatchObject({
      from: 'install',
      notes: [expect.stringContaining('npm does not read pnpm-lock.yaml')],
    });
  });

  test('chooseModules: does as told, when it is told', async () => {
    expect(await choose(APP, { install: true })).toMatchObject({ from: 'install', why: 'as told' });
    const foreign = { ...APP, 'node_modules/a/x.node': 'x'.repeat(99), ...lock({ ...locked, 'node_modules/a': {} }) };
    expect(await choose(foreign, { install: false })).toMatchObject({
      from: 'folder',
      notes: [expect.stringContaining('may not load')],
    });
    await expect(choose(without('node_modules/@s'), { install: false })).rejects.toMatchObject({
      code: 'MODULES_MISSING',
    });
  });

  test('chooseModules: takes a native part, when one of those that a package brings fits the runtime', async () => {
    await using folder = await temporaryFolder({ 'a.c': 'int napi_register_module_v1(void) { return 0; }' });
    const part = join(folder.path, 'a.node');
    await run('gcc', ['-shared', '-fPIC', '-nostdlib', '-o', part, join(folder.path, 'a.c')]);
    const rules = await readIgnoreRules(folder.path);
    const files: Files = {
      ...APP,
      'node_modules/a/prebuilds/darwin-arm64/a.node': 'x',
      'node_modules/a/prebuilds/linux-x64/a.node': '',
    };
    await using app = await temporaryFolder(files);
    await writeFile(join(app.path, 'node_modules/a/prebuilds/linux-x64/a.node'), await readFile(part));
    const manifest = parsePackage(files['package.json'] ?? '', 'package.json');
    const walked = await walkFolder(app.path, { rules, signal });
    const choice = await chooseModules(walked, { path: app.path, rules, manifest, install: undefined, signal });
    expect(choice).toMatchObject({ from: 'folder', notes: [] });
    // What was built here is loaded before what the package brings.
    await mkdir(join(app.path, 'node_modules/a/build/Release'), { recursive: true });
    await writeFile(
      join(app.path, 'node_modules/a/build/Release/a.node'),
      Buffer.concat([await readFile(part), Buffer.from('GLIBC_2.38')]),
    );
    const built = await chooseModules(walked, { path: app.path, rules, manifest, install: undefined, signal });
    expect(built).toMatchObject({ from: 'install', why: 'a is built with glibc 2.38, and the runtime has 2.31' });
  });
});

describe('npmSettings', () => {
  test('npmSettings: passes on where packages are, and nothing that proves who asks', () => {
    const { settings, secrets } = npmSettings(`
      ; a comment = no
      registry = https://r.example/
      @s:registry=https://s.example/
      //r.example/:_authToken=abc
      //r.example/:_password=def
      _auth=x
      email = a@b
      @t:registry=https://user:word@t.example/
      fetch-retries=\${X}
      legacy-peer-deps=true
      cache=/home/me
    `);
    expect(settings).toEqual([
      'registry=https://r.example/',
      '@s:registry=https://s.example/',
      'legacy-peer-deps=true',
    ]);
    expect(secrets).toEqual(['_authToken', '_password', '_auth', 'email']);
  });
});

describe('npmError', () => {
  test('npmError: finds the line that tells why npm failed', () => {
    const missing =
      'npm warn x\nnpm error code E404\nnpm error 404 Not Found - GET x\nnpm error A complete log is in y\n';
    expect(npmError(missing)).toBe('404 Not Found - GET x');
    const compiled = 'npm error code 1\nnpm error path /tmp/x/node_modules/@s/a\nnpm error gyp ERR! find Python\n';
    expect(npmError(compiled)).toMatch(/^@s\/a has to be compiled/);
    expect(npmError('')).toBeUndefined();
  });
});
