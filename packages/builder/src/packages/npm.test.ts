import { createHash } from 'node:crypto';
import { mkdir, mkdtempDisposable, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolvePaths, run } from '@vmlet/host';
import { expect, test } from 'vitest';
import { openBox } from '../box/index.ts';
import { RecipeError } from '../recipe.ts';
import { fetchNpmPackage, unpackNpmPackage } from './npm.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

/** npm, as far as a fetch sees it: it puts a tarball where it is told to. */
const NPM = `#!/bin/sh
echo "$2" >> "$VMLET_TEST_LOG"
cp "$VMLET_TEST_TARBALL" "$4/some-name.tgz"
`;

async function setUp() {
  const dir = await makeDir();
  const bin = join(dir.path, 'bin');
  await mkdir(join(dir.path, 'package/bin'), { recursive: true });
  await mkdir(bin);
  await writeFile(join(bin, 'npm'), NPM, { mode: 0o755 });
  await writeFile(join(dir.path, 'package/bin/tool'), '#!/bin/sh\n', { mode: 0o755 });
  const tarball = join(dir.path, 'tool.tgz');
  await run('tar', ['-czf', tarball, '-C', dir.path, 'package']);
  const log = join(dir.path, 'log');
  const { PATH } = process.env;
  Object.assign(process.env, { PATH: `${bin}:${PATH}`, VMLET_TEST_LOG: log, VMLET_TEST_TARBALL: tarball });
  const digest = createHash('sha512')
    .update(await readFile(tarball))
    .digest('base64');
  return {
    path: dir.path,
    tarball,
    packages: join(dir.path, 'packages'),
    wanted: { package: '@scope/tool', version: '1.2.3', integrity: `sha512-${digest}` },
    asked: () => readFile(log, 'utf8'),
    async [Symbol.asyncDispose]() {
      Object.assign(process.env, { PATH });
      delete process.env.VMLET_TEST_LOG;
      delete process.env.VMLET_TEST_TARBALL;
      await dir.remove();
    },
  };
}

test('fetchNpmPackage: asks npm once for an exact version, and again when what was kept is damaged', async () => {
  await using it = await setUp();
  const kept = await fetchNpmPackage(it.wanted, it);
  expect(await fetchNpmPackage(it.wanted, it)).toBe(kept);
  expect(await it.asked()).toBe('@scope/tool@1.2.3\n');
  await writeFile(kept, 'cut');
  await fetchNpmPackage(it.wanted, it);
  expect(await it.asked()).toBe('@scope/tool@1.2.3\n'.repeat(2));
  expect(await readdir(it.packages)).toEqual(['npm-@scope+tool@1.2.3.tgz']);
});

test('fetchNpmPackage: refuses a package with other bytes than the recipe’s, and keeps none of it', async () => {
  await using it = await setUp();
  const integrity = `sha512-${'A'.repeat(86)}==`;
  const failure = fetchNpmPackage({ ...it.wanted, integrity }, it);
  await expect(failure).rejects.toBeInstanceOf(RecipeError);
  await expect(failure).rejects.toThrow(
    `Cannot use "@scope/tool@1.2.3": its integrity is "${it.wanted.integrity}", expected "${integrity}"`,
  );
  expect(await readdir(it.packages)).toEqual([]);
});

test('unpackNpmPackage: keeps names and modes, whatever the tarball’s folder is called', async () => {
  await using it = await setUp();
  await using box = await openBox(join(it.path, 'boxes'), 'npm', resolvePaths());
  await unpackNpmPackage(it.tarball, 'one', { box });
  expect((await stat(join(box.work, 'one/package/bin/tool'))).mode & 0o777).toBe(0o755);
  const renamed = join(it.path, 'renamed.tgz');
  await run('tar', ['-czf', renamed, '-C', it.path, '--transform=s/^package/tool/', 'package']);
  await unpackNpmPackage(renamed, 'two', { box });
  expect(await readdir(join(box.work, 'two/package/bin'))).toEqual(['tool']);
});

test.each([
  ['a path that goes up', ['--transform=s,^package/bin/tool,package/../../escaped,']],
  ['an absolute path', ['--transform=s,^package/bin/tool,/escaped,']],
  ['a link', ['--transform=s,^package,package,', 'link']],
])('unpackNpmPackage: refuses %s, and writes nothing', async (_name, args) => {
  await using it = await setUp();
  await symlink('/etc', join(it.path, 'link'));
  const evil = join(it.path, 'evil.tgz');
  await run('tar', ['-czPf', evil, '-C', it.path, ...args, 'package']);
  await using box = await openBox(join(it.path, 'boxes'), 'npm', resolvePaths());
  const failure = unpackNpmPackage(evil, 'a/b', { box });
  await expect(failure).rejects.toBeInstanceOf(RecipeError);
  await expect(failure).rejects.toThrow(/expected files and folders inside of it$/);
  await expect(stat(join(box.work, 'a'))).rejects.toThrow('ENOENT');
});
