import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtempDisposable, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { resolvePaths, run } from '@vmlet/host';
import { expect, test } from 'vitest';
import { openBox } from './box/index.ts';
import { type BuildOptions, ensureRuntime, findRuntime } from './build.ts';
import { parseLock } from './packages/lock.ts';
import { RecipeError } from './recipe.ts';
import type { InitFiles } from './stages/overlay.ts';
import { startMirror, type TestPackage } from './testing/mirror.ts';

const SHELL: TestPackage = {
  name: 'shell',
  version: '1:1.0-1+b1',
  files: { 'usr/lib/os-release': 'PRETTY_NAME="Small 1"\n' },
  commands: ['sh', 'cat', 'ls', 'id', 'date', 'sleep'],
};
const GREETING: TestPackage = { name: 'greeting', version: '1.0', files: { 'usr/share/greeting': 'hello\n' } };

const recipeOf = (url: string, more = '') => `format: 1
name: small
version: "1"
description: A test
distribution: debian
suite: bookworm
variant: extract
mirrors:
  - ${url}
keyring: mirror.gpg
packages:
  - shell
  - greeting
filesystem: { format: erofs, compression: none, maxSizeMiB: 64 }
${more}`;

async function setUp() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const mirror = await startMirror(join(dir.path, 'mirror'));
  await mirror.publish([SHELL, GREETING]);
  const progress: string[] = [];
  const makeRecipe = async (name: string, text: string) => {
    const folder = join(dir.path, name);
    await mkdir(folder, { recursive: true });
    await copyFile(mirror.keyring, join(folder, 'mirror.gpg'));
    await writeFile(join(folder, 'recipe.yaml'), text);
    return folder;
  };
  const folder = await makeRecipe('recipe', recipeOf(mirror.url));
  const cache = join(dir.path, 'cache');
  return {
    path: dir.path,
    ...{ mirror, folder, cache, makeRecipe, progress },
    write: (more: string) => writeFile(join(folder, 'recipe.yaml'), recipeOf(mirror.url, more)),
    lockPath: join(folder, 'recipe.lock'),
    ensure: (options: Partial<BuildOptions> & { from?: string } = {}) =>
      ensureRuntime(options.from ?? folder, {
        cache,
        onProgress: (step, detail) => progress.push(detail === undefined ? step : `${step}: ${detail}`),
        ...options,
      }),
    left: async () => {
      const kept = await readdir(join(cache, 'runtimes')).catch(() => []);
      return [...kept, ...(await readdir(join(cache, 'builds')).catch(() => []))];
    },
    async [Symbol.asyncDispose]() {
      await mirror[Symbol.asyncDispose]();
      await dir.remove();
    },
  };
}

/** What is in an image, at its paths. */
async function inImage(imagePath: string, script: string): Promise<string> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  await using box = await openBox(dir.path, 'look', resolvePaths());
  await box.run(['fsck.erofs', '--extract=/work/root', '/image'], { readOnly: { [imagePath]: '/image' } });
  return await box.run(['sh', '-c', script], { cwd: '/work/root' });
}

const messageOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) => {
      expect(error).toBeInstanceOf(RecipeError);
      return String(error);
    },
  );

test('ensureRuntime: builds once, writes what it was built of beside the recipe, and finds the image after', async () => {
  await using it = await setUp();
  expect(await findRuntime(it.folder, it)).toBeUndefined();
  const built = await it.ensure();
  expect(built.manifest).toMatchObject({ name: 'small', os: 'Small 1', filesystem: 'erofs', interpreters: {} });
  expect(basename(built.imagePath)).toBe(`${built.manifest.fileHash}.erofs`);
  expect(await stat(built.imagePath)).toMatchObject({ size: built.manifest.sizeBytes });
  expect(await findRuntime(it.folder, it)).toEqual(built);
  const asked = it.mirror.asked.length;
  expect(await it.ensure()).toEqual(built);
  expect(it.mirror.asked).toHaveLength(asked);
  const lock = parseLock(await readFile(it.lockPath, 'utf8'), 'lock');
  expect(lock.packages.map(({ name, version }) => `${name} ${version}`)).toEqual(['greeting 1.0', 'shell 1:1.0-1+b1']);
  expect(await inImage(built.imagePath, 'cat usr/share/greeting; stat -c "%u %Y" usr/share/greeting')).toBe(
    'hello\n0 499162500\n',
  );
});

test('ensureRuntime: makes the same bytes of the same lock file, elsewhere, later, and when the mirror has moved on', async () => {
  await using it = await setUp();
  await it.write('run: ["echo made > /made"]\n');
  const built = await it.ensure();
  const packages = join(it.cache, 'packages');
  await it.mirror.publish([SHELL, { ...GREETING, version: '2.0', files: { 'usr/share/greeting': 'hi\n' } }], {
    date: 'Mon, 01 Dec 2025 12:00:00 UTC',
  });
  const elsewhere = await it.makeRecipe('a/longer/folder', await readFile(join(it.folder, 'recipe.yaml'), 'utf8'));
  await copyFile(it.lockPath, join(elsewhere, 'recipe.lock'));
  const cache = join(it.path, 'another');
  const gone = await messageOf(it.ensure({ from: elsewhere, cache, locked: true }));
  expect(gone).toMatch(/recipe\.yaml:6:.*"suite".*found none of: greeting 1\.0; take newer ones with --update/);
  await copyPackages(packages, join(cache, 'packages'));
  await it.mirror.close();
  const again = await it.ensure({ from: elsewhere, cache, locked: true });
  expect(again.manifest).toEqual(built.manifest);
  expect((await readFile(again.imagePath)).equals(await readFile(built.imagePath))).toBe(true);
});

async function copyPackages(from: string, to: string): Promise<void> {
  await mkdir(join(to, 'debian'), { recursive: true });
  for (const name of await readdir(join(from, 'debian')))
    await copyFile(join(from, 'debian', name), join(to, 'debian', name));
}

test('ensureRuntime: keeps to its lock file until the recipe wants other packages, or newer ones are asked for', async () => {
  await using it = await setUp();
  expect(await messageOf(it.ensure({ locked: true }))).toMatch(/recipe\.lock:1: expected a lock file, found none/);
  await it.ensure();
  const newer = { ...GREETING, version: '2.0', files: { 'usr/share/greeting': 'hi\n' } };
  await it.mirror.publish([SHELL, GREETING, newer]);
  await it.write('links: { /hi: usr/share/greeting }\n');
  const linked = await it.ensure();
  expect(await inImage(linked.imagePath, 'cat hi')).toBe('hello\n');
  const updated = await it.ensure({ update: true });
  expect(await inImage(updated.imagePath, 'cat hi')).toBe('hi\n');
  expect((await it.ensure({ update: true })).manifest).toEqual(updated.manifest);

  const text = await readFile(join(it.folder, 'recipe.yaml'), 'utf8');
  await writeFile(join(it.folder, 'recipe.yaml'), text.replace('  - greeting\n', ''));
  expect(await messageOf(it.ensure({ locked: true }))).toMatch(
    /recipe\.yaml:11:\d+: "packages": expected "greeting" as in the lock file, found nothing; build once without --locked/,
  );
  expect(await findRuntime(it.folder, it)).toBeUndefined();
  await it.ensure();
  expect(parseLock(await readFile(it.lockPath, 'utf8'), 'lock').packages.map(({ name }) => name)).toEqual(['shell']);
});

test('ensureRuntime: begins at the first step that has changed, and at the start when it is told to', async () => {
  await using it = await setUp();
  await it.write('run: ["echo one > /one", "echo two > /two"]\n');
  await it.ensure();
  await it.write('run: ["echo one > /one", "echo three > /two"]\n');
  it.progress.length = 0;
  const built = await it.ensure();
  expect(it.progress).toEqual([
    '[1/6] Choosing packages: as in the lock file',
    '[2/6] Fetching packages',
    '[3/6] Unpacking packages: cached',
    '[4/6] Running step 1: echo one > /one: cached',
    '[5/6] Running step 2: echo three > /two',
    '[6/6] Making the erofs image',
  ]);
  expect(await inImage(built.imagePath, 'cat one two')).toBe('one\nthree\n');
  it.progress.length = 0;
  expect((await it.ensure({ noCache: true })).manifest).toEqual(built.manifest);
  expect(it.progress.filter((line) => line.endsWith('cached'))).toEqual([]);

  // What has changed on the disk is not used.
  const steps = join(it.cache, 'steps');
  for (const name of await readdir(steps)) {
    await chmod(join(steps, name), 0o600);
    await writeFile(join(steps, name), 'cut');
  }
  await rm(built.imagePath);
  expect((await it.ensure()).manifest).toEqual(built.manifest);
});

test('ensureRuntime: runs steps in the image, as its root, with its environment, and with nothing of this machine', async () => {
  await using it = await setUp();
  const server = it.mirror.url.slice('http://'.length).replace(':', '/');
  await writeFile(join(it.path, 'secret'), 'secret');
  await it.write(`environment: { GREETING: hello, PLACE: world }
run:
  - id -u > /who; echo $GREETING $PLACE > /said; ls / > /seen; pwd >> /said
  - run: echo $GREETING $PLACE >> /said
    env: { PLACE: moon }
  - "! cat ${join(it.path, 'secret')} && ! (exec 3<>/dev/tcp/${server}) && ls /proc/self/net > /dev/null"
files:
  - { path: /etc/own, content: mine }
`);
  const { imagePath } = await it.ensure();
  expect(await inImage(imagePath, 'cat who said')).toBe('0\nhello world\n/\nhello moon\n');
  expect((await inImage(imagePath, 'cat seen')).split('\n')).not.toContain('work');

  await it.write('run: [echo fine, "echo first >&2; echo it broke >&2; exit 3"]\n');
  expect(await messageOf(it.ensure())).toMatch(
    /recipe\.yaml:15:\d+: "run\.1": expected it to succeed, found exit code 3:\n {2}first\n {2}it broke$/,
  );
  expect(await readdir(join(it.cache, 'builds'))).toEqual([]);
});

test('ensureRuntime: names the line of the recipe for mirrors, signatures and packages that are wrong', async () => {
  await using it = await setUp();
  const text = await readFile(join(it.folder, 'recipe.yaml'), 'utf8');
  const failing = async (changed: string) => {
    await writeFile(join(it.folder, 'recipe.yaml'), changed);
    return await messageOf(it.ensure());
  };
  expect(await failing(text.replace('  - greeting', '  - greetings'))).toMatch(
    /recipe\.yaml:13:\d+: "packages\.1": expected a package of "bookworm", found none of this name/,
  );
  expect(await failing(text.replace('keyring: mirror.gpg\n', ''))).toMatch(
    /recipe\.yaml:9:\d+: "mirrors\.0": expected lists that are signed with a key of its keyring/,
  );
  const unreachable = `http://127.0.0.1:9/`;
  expect(await failing(text.replace(it.mirror.url, unreachable))).toMatch(
    /recipe\.yaml:9:\d+: "mirrors\.0": expected an answer of "http:\/\/127\.0\.0\.1:9\/", found none: /,
  );
  expect(await it.left()).toEqual([]);
  // The next one is asked then.
  await writeFile(join(it.folder, 'recipe.yaml'), text.replace(it.mirror.url, `${unreachable}\n  - ${it.mirror.url}`));
  await it.ensure();
});

test('ensureRuntime: leaves nothing of an image, when a build fails, is aborted, or makes too much', async () => {
  await using it = await setUp();
  const text = await readFile(join(it.folder, 'recipe.yaml'), 'utf8');
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(it.ensure({ signal })).rejects.toThrow('enough');
  await it.write('run: [sleep 1000]\n');
  const controller = new AbortController();
  const onProgress = (step: string) => {
    if (step.includes('Running step')) controller.abort(new Error('no more'));
  };
  await expect(it.ensure({ signal: controller.signal, onProgress })).rejects.toThrow('no more');
  await writeFile(join(it.folder, 'recipe.yaml'), text.replace('maxSizeMiB: 64', 'maxSizeMiB: 1'));
  expect(await messageOf(it.ensure())).toMatch(
    /recipe\.yaml:14:\d+: "filesystem\.maxSizeMiB": the image has \d+ bytes, expected at most 1048576/,
  );
  expect(await it.left()).toEqual([]);
});

test('ensureRuntime: lays files and links over the packages, and builds anew when a file of the recipe changes', async () => {
  await using it = await setUp();
  await writeFile(join(it.folder, 'hello.sh'), '#!/bin/sh\necho hello\n');
  await it.write('files: [{ path: /opt/hello, mode: "0750", source: hello.sh }]\nlinks: { /opt/hi: hello }\n');
  const built = await it.ensure();
  const listed = 'stat -c "%a %u %Y %N" opt/hello opt/hi; cat opt/hello';
  expect(await inImage(built.imagePath, listed)).toBe(
    "750 0 499162500 'opt/hello'\n777 0 499162500 'opt/hi' -> 'hello'\n#!/bin/sh\necho hello\n",
  );
  await writeFile(join(it.folder, 'hello.sh'), '#!/bin/sh\necho hello # again\n');
  expect(await inImage((await it.ensure()).imagePath, 'cat opt/hi')).toBe('#!/bin/sh\necho hello # again\n');
});

test('ensureRuntime: puts an init and its launchers in, where the recipe says so, and builds anew for other ones', async () => {
  await using it = await setUp();
  const initOf = (hash: string) => async (): Promise<InitFiles> => ({
    hash,
    async writeTo(folder: string, interpreters: object) {
      await mkdir(join(folder, 'sbin'), { recursive: true });
      await writeFile(join(folder, 'sbin/init'), hash, { mode: 0o555 });
      await mkdir(join(folder, 'root/vmlet'), { recursive: true });
      await writeFile(join(folder, 'root/vmlet/for'), Object.keys(interpreters).join());
    },
  });
  await it.write('init: image\n');
  const built = await it.ensure({ initFiles: initOf('one') });
  expect(built.manifest.init).toBe('image');
  expect(await inImage(built.imagePath, 'cat sbin/init; stat -c %a sbin/init; ls root/vmlet')).toBe('one555\nfor\n');
  const other = await it.ensure({ initFiles: initOf('two') });
  expect(await inImage(other.imagePath, 'cat sbin/init')).toBe('two');
  await expect(it.ensure()).rejects.toThrow('"init: image" and no files of an init, expected both or none');

  await it.write('init: image\nlinks: { /sbin: usr/bin }\n');
  const linked = await it.ensure({ initFiles: initOf('one') });
  expect(await inImage(linked.imagePath, 'cat usr/bin/init; readlink sbin')).toBe('oneusr/bin\n');
});

/** A tree with a dpkg in it, as a machine that reads a published image gives it. */
async function makeBase(it: Awaited<ReturnType<typeof setUp>>): Promise<string> {
  const dpkg = ['dpkg', 'dpkg-deb', 'dpkg-split', 'tar', 'rm', 'chmod', 'ldconfig', 'start-stop-daemon', 'diff'];
  const files = {
    ...SHELL.files,
    'var/lib/dpkg/status': 'Package: greeting\nStatus: install ok installed\nVersion: 1.0\nArchitecture: all\n\n',
    'var/lib/dpkg/info/greeting.list': '/.\n',
    'var/lib/dpkg/updates/.keep': '',
    'usr/sbin/.keep': '',
    'run/.keep': '',
    'etc/own': 'of the base',
  };
  const more = { name: 'more', version: '1.0', depends: 'greeting (>= 1.0)', files: { 'usr/share/more': 'more\n' } };
  const base = { name: 'base', version: '1.0', files, commands: [...(SHELL.commands ?? []), ...dpkg] };
  await it.mirror.publish([SHELL, GREETING, more, base]);
  const tar = join(it.path, 'base.tar');
  const deb = join(it.path, 'mirror/site/pool/main/base_1.0_all.deb');
  await run('sh', ['-c', 'dpkg-deb --fsys-tarfile "$1" > "$2"', 'sh', deb, tar]);
  return tar;
}

test('ensureRuntime: extends a published runtime, whose tree is given to it, with packages and steps of its own', async () => {
  await using it = await setUp();
  const tar = await makeBase(it);
  const hash = 'ab'.repeat(32);
  const opened: string[] = [];
  const base = {
    resolve: async (reference: string) => (reference === 'theirs@2' ? hash : 'unknown'),
    open: async (fileHash: string) => {
      opened.push(fileHash);
      return createReadStream(tar);
    },
  };
  const text = recipeOf(it.mirror.url, 'extends: theirs@2\nrun: ["cat /etc/own > /seen"]\n');
  await writeFile(
    join(it.folder, 'recipe.yaml'),
    text.replace('variant: extract\n', '').replace('  - shell\n  - greeting\n', '  - more\n'),
  );
  expect(await messageOf(it.ensure())).toMatch(/recipe\.yaml:\d+:\d+: "extends": expected a folder/);
  const built = await it.ensure({ base });
  expect(await inImage(built.imagePath, 'cat seen usr/share/more; grep -A1 "Package: more" var/lib/dpkg/status')).toBe(
    'of the basemore\nPackage: more\nStatus: install ok installed\n',
  );
  const lock = parseLock(await readFile(it.lockPath, 'utf8'), 'lock');
  // What the base has is not installed again.
  expect({ base: lock.base, packages: lock.packages.map(({ name }) => name) }).toEqual({
    base: hash,
    packages: ['more'],
  });
  expect(new Set(opened)).toEqual(new Set([hash]));
  opened.length = 0;
  expect((await it.ensure({ base })).manifest).toEqual(built.manifest);
  expect(opened).toEqual([]);
});
