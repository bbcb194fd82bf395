import { execFileSync } from 'node:child_process';
import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeFrame } from '@vmlet/guest-protocol';
import { expect, test } from 'vitest';
import { folderOf, Launcher, nodeVersions, temporaryFolder } from './harness.ts';
import { onEachNode } from './suite.ts';

const ALL = (await nodeVersions()).map((node) => ({
  ...node,
  version: execFileSync(node.path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim(),
}));

/** A folder as nvm keeps versions in, with all that there are. */
async function imageOf(nodes: readonly { version: string; path: string }[] = ALL, below = ''): Promise<string> {
  const folder = await temporaryFolder();
  for (const { version, path } of nodes) {
    const bin = join(folder, below, `${below && 'v'}${version}`, 'bin');
    await mkdir(bin, { recursive: true });
    await symlink(path, join(bin, 'node'));
  }
  return folder;
}

const TELLING = `const { execFileSync } = require('child_process');
const child = execFileSync('node', ['-p', 'process.versions.node']);
const open = execFileSync('/bin/ls', ['/proc/self/fd'], { stdio: ['ignore', 'pipe', 'ignore'] });
const seen = () => JSON.stringify({
  version: process.versions.node, pid: process.pid, mine: process.env.MINE, child: String(child).trim(),
  open: String(open).trim().split('\\n').map(Number).filter((fd) => fd < 100),
  ours: Object.keys(process.env).filter((name) => /^VMLET_(HANDOVER|CONTROL)/.test(name)),
});
module.exports = (req, res) => res.end(seen());`;

await onEachNode('version', ({ launch, serve, failure, file, version: running }) => {
  const other = ALL.find(({ major }) => major !== running.major) ?? ALL[0];
  if (other === undefined) throw new Error('there is one version of Node only');
  const told = async (files: Record<string, string>, env: Record<string, string>) => {
    const launcher = await serve({ 'app.js': TELLING, ...files }, { env, variables: { MINE: 'é' } });
    const seen = JSON.parse((await launcher.get('/')).text);
    return {
      ...seen,
      isSameProcess: seen.pid === launcher.child.pid,
      loaded: launcher.loaded,
      stderr: launcher.stderr,
    };
  };

  test('.nvmrc: another version of the image goes on in the same process, with channel, variables and PATH', async () => {
    const NVM_DIR = await imageOf();
    const seen = await told({ '.nvmrc': `# ours\nv${other.major} # for good\n` }, { NVM_DIR });
    expect(seen).toMatchObject({ version: other.version, isSameProcess: true, mine: 'é', ours: [], stderr: '' });
    expect(seen.loaded.server).toBe(`node ${other.version}`);
    expect(seen.child).toBe(other.version);
    // 3 is the folder that `ls` reads.
    expect(seen.open).toEqual([0, 1, 2, 3]);
  });

  test('.nvmrc before .node-version before engines; none of them: the one that runs', async () => {
    const NVM_DIR = await imageOf(ALL, 'versions/node');
    const files = {
      '.nvmrc': other.version,
      '.node-version': '99',
      'package.json': JSON.stringify({ engines: { node: '98' } }),
    };
    const { '.nvmrc': nvmrc, ...rest } = files;
    const own = execFileSync(running.path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();
    expect((await told(files, { NVM_DIR })).version).toBe(other.version);
    expect((await told({ ...rest, '.node-version': nvmrc }, { NVM_DIR })).version).toBe(other.version);
    const engines = JSON.stringify({ engines: { node: `~${nvmrc}` } });
    expect((await told({ 'package.json': engines }, { NVM_DIR })).version).toBe(other.version);
    expect((await told({ 'package.json': '{"engines":{"npm":"1"}}' }, { NVM_DIR })).version).toBe(own);
    expect((await told({ '.nvmrc': `${running.major}` }, { NVM_DIR: await imageOf([]) })).version).toBe(own);
  });

  test('an order that no version fits: fails, and names what is wanted, where, and what there is', async () => {
    const NVM_DIR = await imageOf([other]);
    const failed = await failure({ 'app.js': TELLING, '.nvmrc': '99' }, { env: { NVM_DIR } });
    expect(failed).toMatchObject({ code: 'NODE_VERSION_UNAVAILABLE', exitCode: 1 });
    expect(failed.message).toMatch(/^Cannot use Node\.js "99": \.nvmrc asks for it and this runtime has /);
    for (const major of [running.major, other.major]) expect(failed.message).toContain(` ${major}.`);
    expect((await failure({ 'app.js': TELLING, '.node-version': 'iojs' }, { env: { NVM_DIR } })).message).toContain(
      'Cannot use Node.js "iojs": .node-version asks for it',
    );
  });

  test('engines that no version fits: is a warning in the log, as npm has it', async () => {
    const NVM_DIR = await imageOf([other]);
    const seen = await told({ 'package.json': '{"engines":{"node":">=98"}}' }, { NVM_DIR });
    expect(seen.version).toMatch(new RegExp(`^${running.major}\\.`));
    expect(seen.stderr).toMatch(
      /^vmlet: Cannot use Node\.js ">=98": engines\.node of package\.json asks for it .*; it runs under [\d.]+\n$/,
    );
  });

  test('a folder of the image that is not what its name says: fails, and does not go on and on', async () => {
    const lying = await imageOf([{ version: '97.1.2', path: other.path }]);
    const lie = await failure({ 'app.js': TELLING, '.nvmrc': '97' }, { env: { NVM_DIR: lying } });
    expect(lie.message).toBe(
      `Cannot run "${lying}/97.1.2/bin/node": it is Node.js ${other.version}, expected Node.js 97.1.2, as its folder says`,
    );
    const broken = await imageOf([]);
    for (const [name, text, mode] of [
      ['v97.1.2', 'no program', 0o755],
      ['96.1.2', '#!/bin/sh', 0o644],
    ] as const) {
      await mkdir(join(broken, name, 'bin'), { recursive: true });
      await writeFile(join(broken, name, 'bin/node'), text);
      await chmod(join(broken, name, 'bin/node'), mode);
    }
    const unrunnable = await failure({ 'app.js': TELLING, '.nvmrc': '>90' }, { env: { NVM_DIR: broken } });
    expect(unrunnable).toMatchObject({ code: 'NODE_VERSION_UNAVAILABLE' });
    expect(unrunnable.message).toContain('v97.1.2/bin/node": errno 8, expected');
    const none = await failure({ 'app.js': TELLING, '.nvmrc': '96' }, { env: { NVM_DIR: broken } });
    expect(none.message).toContain('96');
  });

  test('what came behind load: is not lost, and a launcher that is told to halt does', async () => {
    const launcher = await launch({ 'app.js': TELLING, '.nvmrc': `${other.major}` }, { NVM_DIR: await imageOf() });
    await launcher.receive();
    launcher.sendLoad('app.js');
    launcher.send({ type: 'halt', graceMs: 0 });
    expect((await launcher.ended).code).toBe(0);
    const torn = await launch({ 'app.js': TELLING, '.nvmrc': `${other.major}` }, { NVM_DIR: await imageOf() });
    const load = { type: 'load', code: null, entrypoint: 'app.js', interface: null, variables: {}, port: 0 };
    const halt = encodeFrame({ type: 'halt', graceMs: 0 });
    torn.control.write(Buffer.concat([encodeFrame(load), halt.subarray(0, 9)]));
    expect([(await torn.receive())?.type, (await torn.receive())?.type]).toEqual(['ready', 'loaded']);
    torn.control.write(halt.subarray(9));
    expect((await torn.ended).code).toBe(0);
    const slow = await launch({ 'app.js': TELLING, '.nvmrc': `${other.major}` }, { NVM_DIR: await imageOf() });
    expect(
      (await slow.load('app.js', { variables: { LONG: 'é'.repeat(60_000), MORE: 'x'.repeat(131_000) } }))?.type,
    ).toBe('loaded');
    expect(await slow.halt()).toEqual({ code: 0, signal: null });
  });

  test('a launcher without what lets it switch: says so', async () => {
    const alone = join(await temporaryFolder(), 'init1.js');
    await copyFile(file, alone);
    const code = await folderOf({ 'app.js': TELLING, '.nvmrc': `${other.major}` });
    const launcher = new Launcher(running.path, alone, { code, env: { NVM_DIR: await imageOf() } });
    expect(await launcher.load('app.js')).toMatchObject({
      code: 'LAUNCHER_FAILED',
      message: expect.stringContaining('replace.node'),
    });
  });
});
