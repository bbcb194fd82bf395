import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCache } from './cache.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

test('openCache: is opened by many at once, when absent', async () => {
  await using dir = await makeDir();
  const path = join(dir.path, 'cache');
  const caches = await Promise.all(Array.from({ length: 8 }, () => openCache(path)));
  expect(caches[0]).toEqual({
    dir: path,
    kits: join(path, 'kits'),
    runtimes: join(path, 'runtimes'),
    probe: join(path, 'probe'),
  });
  expect(JSON.parse(await readFile(join(path, 'cache.json'), 'utf8'))).toEqual({ format: 1 });
});

test('openCache: removes what killed writers left, and leaves alone what is being written', async () => {
  await using dir = await makeDir();
  const dead = spawnSync('true').pid;
  const left = [`kits/.tmp-${dead}-kit-abc`, `packages/.tmp-${dead}-debian-abc`, `probe/.tmp-${dead}-x.json-abc`];
  const kept = [`kits/.tmp-${process.pid}-kit-abc`, 'runtimes/.tmp-notes', 'probe/x.json'];
  for (const path of [...left, ...kept]) await mkdir(join(dir.path, path), { recursive: true });
  await openCache(dir.path);
  const there = [...left, ...kept].filter((path) => existsSync(join(dir.path, path)));
  expect(there).toEqual(kept);
});

test('openCache: refuses a newer format', async () => {
  await using dir = await makeDir();
  await writeFile(join(dir.path, 'cache.json'), '{"format":7}');
  await expect(openCache(dir.path)).rejects.toMatchObject({ code: 'FORMAT_NEWER' });
});
