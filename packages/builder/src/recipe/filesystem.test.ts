import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readRecipe } from '../recipe.ts';
import { FILESYSTEMS, inFilesystem, splitName } from './filesystem.ts';

const RUNTIMES = join(import.meta.dirname, '../../../../runtimes');
const read = async (name: string) => (await readRecipe(join(RUNTIMES, name, 'recipe.yaml'))).recipe;

test('inFilesystem: names a runtime after its other filesystem, and leaves settings of its own one behind', async () => {
  const recipe = await read('debian-11-node');
  expect(recipe.filesystem).toMatchObject({ format: 'erofs', clusterKiB: 64, compression: 'lz4hc' });
  const other = inFilesystem(recipe, 'ext4');
  expect(other).toEqual({ ...recipe, name: 'debian-11-node-ext4', filesystem: { format: 'ext4', maxSizeMiB: 1024 } });
  expect(inFilesystem(recipe, 'squashfs').filesystem).toMatchObject({ format: 'squashfs', compression: 'zstd' });
  expect(inFilesystem(recipe, 'erofs')).toBe(recipe);
  expect(inFilesystem(recipe, undefined)).toBe(recipe);
});

test('inFilesystem: keeps what is to be left free where something can be written, and a name within its length', async () => {
  const recipe = await read('minimal');
  const long = { ...recipe, name: 'n'.repeat(63), filesystem: { format: 'ext4' as const, maxSizeMiB: 9, freeMiB: 5 } };
  expect(inFilesystem(long, 'btrfs').filesystem).toMatchObject({ freeMiB: 5 });
  expect(inFilesystem(long, 'squashfs').filesystem).not.toHaveProperty('freeMiB');
  expect(inFilesystem(long, 'squashfs').name).toBe(`${'n'.repeat(54)}-squashfs`);
});

test('splitName: takes each name apart that a filesystem ends', () => {
  for (const filesystem of FILESYSTEMS)
    expect(splitName(`debian-12-python-${filesystem}`)).toEqual({ recipe: 'debian-12-python', filesystem });
  expect(splitName('debian-12-python')).toEqual({ recipe: 'debian-12-python', filesystem: undefined });
  expect(splitName('ext4')).toEqual({ recipe: 'ext4', filesystem: undefined });
});

test('readRecipe: gives a recipe in the filesystem that is asked for', async () => {
  const path = join(RUNTIMES, 'debian-12-python/recipe.yaml');
  const { recipe } = await readRecipe(path, { filesystem: 'ext4' });
  expect(recipe).toMatchObject({ name: 'debian-12-python-ext4', filesystem: { format: 'ext4' } });
});
