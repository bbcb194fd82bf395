import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
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

test('openCache: refuses a newer format', async () => {
  await using dir = await makeDir();
  await writeFile(join(dir.path, 'cache.json'), '{"format":7}');
  await expect(openCache(dir.path)).rejects.toMatchObject({ code: 'FORMAT_NEWER' });
});
