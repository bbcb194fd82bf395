import { mkdir, readFile, writeFile } from 'node:fs/promises';
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
exclude: [/usr/share/*]
include: []
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
    'mine/motd': 'PRETTY_NAME="Mine 1"\nID=mine\n',
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

test('vmlet runtime verify: builds what another published, from the node alone, and finds out what was tampered with', async () => {
  const published = answer(await as('alice', 'runtime', 'publish', 'mine', '--with-packages', '--json'));
  const verified = await as('bob', 'runtime', 'verify', published.itemHash);
  expect(verified).toMatchObject({ exitCode: 0 });
});
