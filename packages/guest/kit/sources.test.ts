import { mkdir, mkdtempDisposable, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashSources } from './boot-kit.ts';

async function makeSources() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  for (const folder of [
    'init0/test',
    'init1-python/vmlet_init1/__pycache__',
    'init1-node/src',
    'init1-exec',
    'survey',
    'kit',
  ])
    await mkdir(join(dir.path, folder), { recursive: true });
  for (const file of ['init0/init0.c', 'init0/modules.txt', 'init1-python/vmlet_init1/main.py', 'kit/kernel.ts']) {
    await writeFile(join(dir.path, file), file);
  }
  return dir;
}

test('hashSources: is the same for the same sources, wherever and whenever they were written', async () => {
  await using one = await makeSources();
  await using two = await makeSources();
  await utimes(join(two.path, 'kit/kernel.ts'), 1, 1);
  expect(await hashSources(one.path)).toBe(await hashSources(two.path));
});

test('hashSources: changes, when a source changes, comes, goes or gets another name', async () => {
  await using dir = await makeSources();
  const hashes = new Set([await hashSources(dir.path)]);
  const changes = [
    () => writeFile(join(dir.path, 'init0/init0.c'), 'changed'),
    () => writeFile(join(dir.path, 'init1-python/new.py'), ''),
    () => rename(join(dir.path, 'init1-python/new.py'), join(dir.path, 'init1-python/other.py')),
    () => rm(join(dir.path, 'init0/modules.txt')),
    () => writeFile(join(dir.path, 'kit/kernel.ts'), ''),
  ];
  for (const change of changes) {
    await change();
    hashes.add(await hashSources(dir.path));
  }
  expect(hashes.size).toBe(changes.length + 1);
});

test('hashSources: leaves out tests, words and bytecode', async () => {
  await using dir = await makeSources();
  const before = await hashSources(dir.path);
  for (const file of [
    'init0/test/test.c',
    'init0/README.md',
    'kit/kernel.test.ts',
    'init1-python/vmlet_init1/__pycache__/main.pyc',
    'kit/x.pyc',
  ]) {
    await writeFile(join(dir.path, file), 'x');
    expect(await hashSources(dir.path), file).toBe(before);
  }
});
