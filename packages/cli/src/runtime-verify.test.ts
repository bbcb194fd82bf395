import { randomUUID } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resolvePaths } from '@vmlet/host';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeTestHome, type NodeProcess, type TestHome } from '../../../tests/framework/node-process.ts';
import { type CliResult, runCli, type TemporaryFolder, temporaryFolder } from './testing.ts';

const { cache } = resolvePaths();
/** A recipe on another one, so that what is published is neither file, with a file of each. */
const BASE = `format: 1
name: base
distribution: debian
suite: bookworm
variant: extract
packages: [busybox-static]
exclude: [/usr/share/initramfs-tools, /usr/share/man]
applets: /bin/busybox
files: [{ path: /etc/motd, source: motd }]
`;
const RECIPE = `format: 1
name: mine
extends: ../base
version: "1"
files: [{ path: /etc/os-release, source: motd }]
filesystem: { format: erofs, compression: none, maxSizeMiB: 8 }
`;

let home: TestHome;
let node: NodeProcess;
let folder: TemporaryFolder;

beforeAll(async () => {
  home = await makeTestHome();
  node = await home.start({ args: ['--allow', 'any'] });
  folder = await temporaryFolder({
    'base/recipe.yaml': BASE,
    'base/motd': 'hello\n',
    'mine/recipe.yaml': RECIPE,
    // Each run's own, for the cache is shared.
    'mine/motd': `PRETTY_NAME="Mine 1"\nID=mine\nBUILD_ID=${randomUUID()}\n`,
  });
});
afterAll(async () => {
  await folder?.[Symbol.asyncDispose]();
  await home?.[Symbol.asyncDispose]();
});

/** Somebody with a key and a cache of their own, and no node. */
async function as(who: string, ...args: string[]): Promise<CliResult> {
  const own = join(folder.path, who);
  const env = {
    VMLET_CONFIG: own,
    VMLET_HOME: join(folder.path, 'none'),
    VMLET_CACHE: who === 'alice' ? cache : join(own, 'cache'),
  };
  return await runCli([...args, '--node', node.url], { env, cwd: folder.path });
}

function answer({ exitCode, stdout, stderr }: CliResult) {
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  return JSON.parse(stdout);
}

test('vmlet runtime verify: builds what another has published, from what the node has, and finds the same bytes', async () => {
  const published = answer(await as('alice', 'runtime', 'publish', 'mine', '--with-packages', '--json'));
  expect(published.manifest).toMatchObject({ name: 'mine', packages: { manager: 'dpkg', count: 1 } });
  const { itemHash, address } = published;
  const verified = answer(await as('bob', 'runtime', 'verify', `${address}/mine`, '--json'));
  expect(verified).toMatchObject({ itemHash, verified: true, differences: [] });
  expect(verified.built.fileHash).toBe(published.manifest.fileHash);
  // The package came from the node: bob has it, and no mirror was asked.
  const [deb] = await readdir(join(folder.path, 'bob/cache/packages/debian'));
  const kept = await as('carol', 'runtime', 'show', itemHash, '--sbom');
  expect(JSON.parse(kept.stdout).packages).toContainEqual(
    expect.objectContaining({
      name: 'busybox-static',
      checksums: [{ algorithm: 'SHA256', checksumValue: deb?.slice(0, 64) }],
    }),
  );

  const shown = (await as('carol', 'runtime', 'show', itemHash)).stdout;
  expect(shown).toMatch(/^packages +1 \(dpkg\)$/m);
  expect(shown).toMatch(/^licences +GPL-2\.0-only \(1\)|^licences +not told \(1\)$/m);
  expect(shown).toMatch(/^size +\S+ MB, \S+ MB unpacked$/m);
  for (const name of ['recipe', 'lock', 'sbom', 'packages'])
    expect(shown).toMatch(new RegExp(`^${name} message +[0-9a-f]{64}$`, 'm'));
});

test('vmlet runtime verify: tells another image under a recipe, and what is not true of it, from what the recipe makes', async () => {
  const { manifest } = answer(await as('alice', 'runtime', 'build', 'mine', '--output', 'image', '--json'));
  const published = answer(await as('alice', 'runtime', 'publish', 'mine', '--json')).manifest;
  const image = await readFile(join(folder.path, 'image'));
  // One bit of a file in it, as somebody would who has something to hide.
  const at = image.indexOf('BusyBox v');
  image[at] = (image[at] ?? 0) ^ 1;
  await writeFile(join(folder.path, 'tampered'), image);
  const claims = { ...published, name: 'tampered', packages: { manager: 'dpkg', count: 7 } };
  await writeFile(join(folder.path, 'claims.json'), JSON.stringify(claims));
  const { itemHash } = answer(
    await as('alice', 'runtime', 'publish', 'tampered', '--manifest', 'claims.json', '--json'),
  );
  const verified = await as('bob', 'runtime', 'verify', itemHash, '--json');
  expect(verified).toMatchObject({ exitCode: 7 });
  expect(JSON.parse(verified.stdout)).toMatchObject({
    verified: false,
    built: { fileHash: manifest.fileHash },
    differences: [
      { what: 'image', built: expect.stringContaining(`1 blocks of 4 KiB differ, the first at byte ${at}`) },
      { what: 'packages', published: '{"manager":"dpkg","count":7}', built: '{"manager":"dpkg","count":1}' },
    ],
  });
  expect(JSON.parse(verified.stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({
    error: { code: 'RUNTIME_DIFFERS' },
  });
});

test('vmlet runtime verify: says so of a runtime that was published without a recipe, and of none at all', async () => {
  await writeFile(
    join(folder.path, 'bare'),
    await readFile(answer(await as('alice', 'runtime', 'build', 'mine', '--json')).image),
  );
  const { itemHash } = answer(await as('dave', 'runtime', 'publish', 'bare', '--name', 'bare', '--json'));
  const bare = await as('bob', 'runtime', 'verify', itemHash);
  expect(bare).toMatchObject({ exitCode: 7, stderr: expect.stringContaining('its manifest names no recipe') });
  expect(await as('bob', 'runtime', 'verify', 'bare')).toMatchObject({ exitCode: 3 });
  expect(await as('bob', 'runtime', 'verify', './bare')).toMatchObject({ exitCode: 3 });
  expect(await as('bob', 'runtime', 'show', itemHash, '--sbom')).toMatchObject({ exitCode: 3 });
});

test('vmlet runtime build: writes a lock file, takes what it says, and makes the same bytes again', async () => {
  const built = await as('alice', 'runtime', 'build', 'mine', '--out', 'images');
  expect(built.exitCode).toBe(0);
  const read = (name: string) => readFile(join(folder.path, name));
  expect(JSON.parse((await read('mine/recipe.lock')).toString()).packages).toMatchObject([{ name: 'busybox-static' }]);
  expect(JSON.parse((await read('images/mine.spdx.json')).toString())).toMatchObject({ spdxVersion: 'SPDX-2.3' });
  const again = await as('alice', 'runtime', 'build', 'mine', '--locked', '--no-cache', '--output', 'again', '--json');
  expect(answer(again)).toMatchObject({ cached: false, lock: join(folder.path, 'mine/recipe.lock') });
  expect((await read('again')).equals(await read('images/mine.erofs'))).toBe(true);
  expect(again.stderr).toMatch(/^\[1\/5\] Choosing packages\n\[2\/5\] Fetching packages\n\[3\/5\] /m);
  const other = await as('alice', 'runtime', 'build', 'mine', '--filesystem', 'squashfs', '--locked', '--json');
  expect(answer(other)).toMatchObject({ manifest: { name: 'mine-squashfs', filesystem: 'squashfs' } });
  expect(other.stderr).toMatch(/: cached$/m);
  expect(await as('alice', 'runtime', 'build', 'mine', '--locked', '--update')).toMatchObject({ exitCode: 2 });
  expect(await as('alice', 'runtime', 'build', 'base', '--locked')).toMatchObject({
    exitCode: 7,
    stderr: expect.stringContaining('expected a lock file, found none'),
  });
});
