import { mkdtempDisposable, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeDisk } from './disk.ts';

const MIB = 1024 * 1024;

async function setUp() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const image = join(dir.path, 'image');
  await using file = await open(image, 'w', 0o444);
  await file.write('first', 0);
  await file.write('last', 3 * MIB - 4);
  return { image, disk: join(dir.path, 'disk'), folder: dir.path, [Symbol.asyncDispose]: () => dir.remove() };
}

test('makeDisk: has the image at its beginning, the size that was asked for, and takes the room of neither', async () => {
  await using it = await setUp();
  await makeDisk(it.image, it.disk, { sizeMiB: 64 });
  const bytes = await readFile(it.disk);
  expect(bytes.subarray(0, 3 * MIB).equals(await readFile(it.image))).toBe(true);
  const { size, blocks, mode } = await stat(it.disk);
  expect(size).toBe(64 * MIB);
  expect(blocks * 512).toBeLessThan(MIB);
  expect(mode & 0o777).toBe(0o600);
});

test('makeDisk: refuses a disk that is smaller than its image', async () => {
  await using it = await setUp();
  await expect(makeDisk(it.image, it.disk, { sizeMiB: 2 })).rejects.toMatchObject({
    code: 'DISK_TOO_SMALL',
    message: 'Cannot make a disk of 2 MiB: the image has 3 MiB, expected room for all of it',
  });
  expect(await readdir(it.folder)).toEqual(['image']);
});

test('makeDisk: never overwrites a disk, and leaves none that it could not make', async () => {
  await using it = await setUp();
  await writeFile(it.disk, 'of another');
  await expect(makeDisk(it.image, it.disk, { sizeMiB: 64 })).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await readFile(it.disk, 'utf8')).toBe('of another');
  const aborted = AbortSignal.abort(new Error('no more'));
  await expect(makeDisk(it.image, `${it.disk}2`, { sizeMiB: 64, signal: aborted })).rejects.toThrow();
  expect((await readdir(it.folder)).sort()).toEqual(['disk', 'image']);
});
