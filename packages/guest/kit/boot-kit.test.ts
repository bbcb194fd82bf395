import { createHash } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ensureBootKit } from './boot-kit.ts';

const makeCache = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

test('ensureBootKit: names the kit by the hash of its files, makes it once, and makes the same again elsewhere', async () => {
  await using cache = await makeCache();
  const kit = await ensureBootKit({ cache: cache.path });
  const hash = createHash('sha256');
  for (const file of [kit.kernel, kit.initramfs, kit.image, kit.init0, kit.tscRate, kit.lateFiles]) {
    hash.update(await readFile(file));
    expect((await stat(file)).mode & 0o222, `"${file}" may be written to`).toBe(0);
  }
  expect(kit.hash).toBe(hash.digest('hex'));
  expect(kit.kernel).toContain(kit.hash);

  const steps: string[] = [];
  expect(await ensureBootKit({ cache: cache.path, onProgress: (step) => steps.push(step) })).toEqual(kit);
  expect(steps).toEqual([]);

  await using other = await makeCache();
  expect((await ensureBootKit({ cache: other.path })).hash).toBe(kit.hash);
});

test('ensureBootKit: leaves no kit and no half of one, when it is aborted on its way', async () => {
  await using cache = await makeCache();
  const abort = new AbortController();
  const onProgress = (step: string) => {
    if (step === 'Making the guest kit') abort.abort(new Error('enough'));
  };
  await expect(ensureBootKit({ cache: cache.path, onProgress, signal: abort.signal })).rejects.toThrow('enough');
  expect(await readdir(join(cache.path, 'kits'))).toEqual([]);
});
