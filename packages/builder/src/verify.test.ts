import { copyFile, mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ensureRuntime } from './build.ts';
import { startMirror } from './testing/mirror.ts';
import { verifyRuntime } from './verify.ts';

test('verifyRuntime: builds again and says whether the image is the same, and which files are not', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  await using mirror = await startMirror(join(dir.path, 'mirror'));
  await mirror.publish([{ name: 'greeting', version: '1.0', files: { 'usr/greeting': 'hello\n', 'usr/name': 'x\n' } }]);
  const folder = join(dir.path, 'recipe');
  await mkdir(folder);
  await copyFile(mirror.keyring, join(folder, 'mirror.gpg'));
  const recipe = `format: 1
name: small
distribution: debian
suite: bookworm
version: "1"
description: A test
variant: extract
mirrors: [${mirror.url}]
keyring: mirror.gpg
packages: [greeting]
filesystem: { format: erofs }
files: [{ path: /etc/said, content: one }]
`;
  await writeFile(join(folder, 'recipe.yaml'), recipe);
  const cache = join(dir.path, 'cache');
  const { manifest, imagePath } = await ensureRuntime(folder, { cache });
  const expectedImage = { path: join(dir.path, 'published'), filesystem: manifest.filesystem };
  await copyFile(imagePath, expectedImage.path);
  await mirror.close();
  const expected = { cache, expectedHash: manifest.fileHash, expectedImage };
  expect(await verifyRuntime(folder, expected)).toMatchObject({ matches: true, differences: [] });

  await writeFile(join(folder, 'recipe.yaml'), recipe.replace('one', 'two').replace('/etc/said', '/etc/told'));
  const other = await verifyRuntime(folder, expected);
  expect(other.matches).toBe(false);
  expect(other.differences).toEqual([
    expect.stringMatching(/^"\/etc\/said": only in the published image$/),
    expect.stringMatching(/^"\/etc\/told": not in the published image$/),
  ]);
  await writeFile(join(folder, 'recipe.yaml'), recipe.replace('one', 'two'));
  expect((await verifyRuntime(folder, expected)).differences).toEqual([
    expect.stringMatching(/^"\/etc\/said": expected "f 644 0:0 499162500\.0+ 3 {2}[0-9a-f]{64}", found "f 644 .*"$/),
  ]);
  expect((await readFile(imagePath)).equals(await readFile(expectedImage.path))).toBe(true);
});
