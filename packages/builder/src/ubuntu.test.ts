/**
 * The recipe of Ubuntu against a mirror that is made for it: its archive is not to be had where vmlet is tested. What the
 * packages do is made up; how they are chosen, checked, fetched and installed is not.
 */
import { copyFile, mkdir, mkdtempDisposable, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureRuntime } from './build.ts';
import { readRecipe } from './recipe.ts';
import { startMirror, type TestMirror, type TestPackage } from './testing/mirror.ts';

const RECIPE = join(import.meta.dirname, '../../../runtimes/ubuntu-22.04');
/** What dpkg and the recipe's own step run. */
const COMMANDS = [
  'sh',
  'sed',
  'diff',
  'env',
  'dpkg',
  'dpkg-deb',
  'dpkg-query',
  'dpkg-split',
  'tar',
  'rm',
  'cat',
  'chmod',
  'mkdir',
  'true',
];
const ESSENTIAL: TestPackage = {
  name: 'base-files',
  version: '12ubuntu4',
  isEssential: true,
  files: {
    'usr/lib/os-release': 'PRETTY_NAME="Ubuntu 22.04 LTS"\nVERSION_CODENAME=jammy\n',
    'usr/sbin/ldconfig': '#!/bin/sh\n',
    'usr/sbin/start-stop-daemon': '#!/bin/sh\n',
  },
  commands: COMMANDS,
};
/** Ubuntu's way to a merged /usr, which Debian's builds do without. */
const USRMERGE: TestPackage = { name: 'usrmerge', version: '25ubuntu2', isEssential: true, files: {} };

/** Three mirrors: with all that the recipe wants, without one of them, and none any more. */
interface Mirrors extends AsyncDisposable {
  whole: TestMirror;
  poor: TestMirror;
  silent: string;
}
let mirrors: Mirrors;
beforeAll(async () => {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')));
  const { recipe } = await readRecipe(join(RECIPE, 'recipe.yaml'));
  const made = ['apt', ...recipe.packages].map((name) => ({
    name,
    version: '1.0',
    files: {} as Record<string, string>,
  }));
  const systemctl = '#!/bin/sh\necho "$@" >> /etc/asked-of-systemctl\n';
  for (const { name, files } of made) {
    if (name === 'systemd-sysv') files['usr/bin/systemctl'] = systemctl;
    if (name === 'cloud-init') files['etc/cloud/cloud.cfg'] = 'preserve_sources_list: true\n';
  }
  const packages = [ESSENTIAL, USRMERGE, ...made];
  const whole = stack.use(await startMirror(join(dir.path, 'whole')));
  await whole.publish(packages, { suite: 'jammy' });
  const poor = stack.use(await startMirror(join(dir.path, 'poor')));
  await poor.publish([ESSENTIAL, USRMERGE, ...made.slice(0, 3)], { suite: 'jammy' });
  await using other = await startMirror(join(dir.path, 'silent'));
  const owned = stack.move();
  mirrors = { whole, poor, silent: other.url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
});
afterAll(async () => mirrors[Symbol.asyncDispose]());

/** The official recipe, from these mirrors. */
async function buildFrom(urls: readonly string[], keyring: string) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')));
  const folder = join(dir.path, 'recipe');
  await mkdir(folder);
  await copyFile(keyring, join(folder, 'keys.gpg'));
  const base = relative(folder, RECIPE);
  const text = `format: 1\nname: jammy\nextends: ${base}\nkeyring: keys.gpg\nmirrors: [${urls.join(', ')}]\n`;
  await writeFile(join(folder, 'recipe.yaml'), text);
  const built = await ensureRuntime(folder, { cache: join(dir.path, 'cache') });
  const owned = stack.move();
  return { ...built, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test('ubuntu-22.04: is built from the second mirror where the first does not answer, all of it of the suite jammy', async () => {
  const { whole, silent } = mirrors;
  await using built = await buildFrom([silent, whole.url], whole.keyring);
  const { manifest, imagePath } = built;
  expect(manifest).toMatchObject({ os: 'Ubuntu 22.04 LTS', filesystem: 'btrfs', init: 'distribution' });
  expect(whole.asked).toContain('/dists/jammy/InRelease');
  expect(whole.asked.some((path) => /^\/pool\/main\/usrmerge_/.test(path))).toBe(true);
  expect((await stat(imagePath)).size).toBe(manifest.sizeBytes);
});

test('ubuntu-22.04: lists that another key has signed are refused, at the line of their mirror', async () => {
  const { whole, poor } = mirrors;
  await expect(buildFrom([whole.url], poor.keyring)).rejects.toMatchObject({
    name: 'RecipeError',
    message: expect.stringMatching(/recipe\.yaml:5:.*signed with a key of its keyring/s),
  });
});

test('ubuntu-22.04: a package that the suite has not is named with its line in the recipe that asks for it', async () => {
  const { poor } = mirrors;
  await expect(buildFrom([poor.url], poor.keyring)).rejects.toMatchObject({
    name: 'RecipeError',
    message: expect.stringMatching(/debian-11\/recipe\.yaml:\d+:.*expected a package of "jammy", found none/s),
  });
});

test('ubuntu-22.04: where no mirror answers, the build fails and each of them is named', async () => {
  const { silent, whole } = mirrors;
  const also = `${silent}/also`;
  await expect(buildFrom([silent, also], whole.keyring)).rejects.toMatchObject({
    name: 'RecipeError',
    message: expect.stringMatching(new RegExp(`${silent}.*${also}`, 's')),
  });
});
