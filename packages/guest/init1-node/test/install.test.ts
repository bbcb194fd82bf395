import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { unzipSync, zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { buildNodeLauncher } from '../build.ts';
import { folderOf, Launcher } from './harness.ts';

type Files = Record<string, string | Uint8Array>;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vmlet-install-test-'));
  await buildNodeLauncher(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const json = (value: object) => JSON.stringify(value);
const zipOf = (files: Files) =>
  Buffer.from(
    zipSync(Object.fromEntries(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]))),
  );

/** An archive of a package with a command, as `npm pack` makes them. */
async function archive(name: string): Promise<Buffer> {
  const made = await folderOf({
    'package/package.json': json({ name, version: '1.0.0', bin: 'cli.js' }),
    'package/index.js': `module.exports = '${name}';`,
    'package/cli.js': '#!/usr/bin/env node\n',
  });
  return execFileSync('tar', ['-cz', '-C', made, 'package']);
}

/** The installer, with the npm of this host: what names archives by their paths needs no registry. */
async function start(variables: Record<string, string> = {}): Promise<Launcher> {
  const path = `${dirname(process.execPath)}:${process.env.PATH}`;
  const code = await folderOf({});
  const launcher = new Launcher(process.execPath, join(folder, 'init1.js'), { code, env: { PATH: path } });
  const quiet = { npm_config_userconfig: '/dev/null', npm_config_offline: 'true', ...variables };
  const loaded = await launcher.load(join(folder, 'vmlet-install.js'), { variables: quiet });
  expect(loaded, launcher.stderr).toMatchObject({ type: 'loaded', interface: 'handler' });
  return launcher;
}

const post = (launcher: Launcher, files: Files) => launcher.get('/', { method: 'POST', body: zipOf(files) });

const APP = {
  'package.json': json({
    dependencies: { one: 'file:one.tgz' },
    devDependencies: { 'not-there': '1' },
    scripts: { prepare: 'exit 9' },
  }),
};

describe('vmlet-install', () => {
  test('install: gives what npm installs, commands as links, without what development needs, and the same each time', async () => {
    const launcher = await start();
    const files = { ...APP, 'one.tgz': await archive('one') };
    const answer = await post(launcher, files);
    expect(answer.status, answer.text).toBe(200);
    const installed = unzipSync(answer.body);
    expect(Object.keys(installed)).toEqual([
      'node_modules/.bin/one',
      'node_modules/one/cli.js',
      'node_modules/one/index.js',
      'node_modules/one/package.json',
    ]);
    expect(Buffer.from(installed['node_modules/.bin/one'] ?? []).toString()).toBe('../one/cli.js');
    expect((await post(launcher, files)).body.equals(answer.body)).toBe(true);
  });

  test('install: follows a lock file, and packages of workspaces', async () => {
    const launcher = await start();
    const files = {
      'package.json': json({ workspaces: ['packages/*'], dependencies: { own: '1.0.0' } }),
      'packages/own/package.json': json({ name: 'own', version: '1.0.0', dependencies: { two: 'file:../../two.tgz' } }),
      'two.tgz': await archive('two'),
    };
    const workspaces = await post(launcher, files);
    expect(workspaces.status, workspaces.text).toBe(200);
    const installed = unzipSync(workspaces.body);
    expect(Buffer.from(installed['node_modules/own'] ?? []).toString()).toBe('../packages/own');
    expect(Object.keys(installed)).toContain('node_modules/two/index.js');
    const lock = json({ lockfileVersion: 3, packages: { '': { dependencies: { one: 'file:other.tgz' } } } });
    const wanted = json({ dependencies: { one: 'file:one.tgz' } });
    const differs = await post(launcher, {
      'package.json': wanted,
      'one.tgz': await archive('one'),
      'package-lock.json': lock,
    });
    expect(differs.status).toBe(422);
    expect(differs.text).toMatch(/npm ci|in sync/);
  });

  test('install: answers with npm’s words, when it fails, and refuses what is no such zip', async () => {
    const launcher = await start();
    const failed = await post(launcher, { 'package.json': json({ dependencies: { one: 'file:absent.tgz' } }) });
    expect(failed.status).toBe(422);
    expect(failed.text).toMatch(/npm (error|ERR!)[\s\S]*absent\.tgz/);
    for (const [files, words] of [
      [{ 'a.txt': '' }, 'no "package.json" in the zip'],
      [{ 'package.json': '{' }, 'Cannot read package.json'],
      [{ '../a': '', 'package.json': '{}' }, '"../a" is not inside'],
    ] as [Files, string][]) {
      const refused = await post(launcher, files);
      expect(refused.text).toContain(words);
      expect([400, 422]).toContain(refused.status);
    }
    expect((await launcher.get('/', { method: 'POST', body: 'no zip' })).status).toBe(400);
    expect((await launcher.get('/')).status).toBe(405);
  });

  test('install: says that there is no npm, when there is none', async () => {
    const launcher = await start({ PATH: '/nonexistent' });
    const answer = await post(launcher, APP);
    expect(answer).toMatchObject({ status: 422, text: expect.stringContaining('expected one in the runtime') });
  });

  test('install: trusts the authorities of the host', async () => {
    const made = await folderOf({});
    const [key, cert] = [join(made, 'key.pem'), join(made, 'certificate.pem')];
    const subject = ['-subj', '/CN=test', '-days', '2', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const command = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, '-keyout', key, '-out', cert];
    execFileSync('openssl', command, { stdio: 'ignore' });
    const [pem, tgz] = [readFileSync(cert), await archive('one')];
    const server = createServer({ key: readFileSync(key), cert: pem }, (_request, response) => response.end(tgz));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void server.close().closeAllConnections());
    const { port } = server.address() as AddressInfo;
    const files = { 'package.json': json({ dependencies: { one: `https://127.0.0.1:${port}/one.tgz` } }) };
    const launcher = await start({ npm_config_offline: 'false', npm_config_fetch_retries: '0' });
    expect((await post(launcher, files)).text).toMatch(/SELF_SIGNED|self-signed/);
    expect((await launcher.get('/', { method: 'PUT', body: pem })).status).toBe(204);
    const answer = await post(launcher, files);
    expect(answer.status, answer.text).toBe(200);
  });
});
