import { copyFile, mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ensureRuntime } from './build.ts';
import { differingFiles } from './differing-files.ts';
import { startMirror } from './testing/mirror.ts';

test('differingFiles: names the files that are others in two images of a recipe', async () => {
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
  const published = await ensureRuntime(folder, { cache });
  await mirror.close();
  const again = async (changed: string) => {
    await writeFile(join(folder, 'recipe.yaml'), changed);
    const built = await ensureRuntime(folder, { cache, locked: true, noCache: true });
    return await differingFiles(published.imagePath, built, { cache });
  };
  expect(await again(recipe)).toEqual([]);
  const told = expect.stringMatching(/^f 644 0:0 499162500\.0+ 3 {2}[0-9a-f]{64}$/);
  expect(await again(recipe.replace('one', 'two').replace('/etc/said', '/etc/told'))).toEqual([
    { path: '/etc/said', published: told },
    { path: '/etc/told', built: told },
  ]);
  expect(await again(recipe.replace('one', 'two'))).toEqual([{ path: '/etc/said', published: told, built: told }]);
});
