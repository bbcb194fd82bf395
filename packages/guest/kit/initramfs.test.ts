import { execFile } from 'node:child_process';
import { mkdir, mkdtempDisposable, readFile, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { type InitramfsInput, makeInitramfs, modulesFor, readModuleNames } from './initramfs.ts';

const command = promisify(execFile);
const NAMES = ['virtio_ring', 'virtio-mmio', 'builtin', 'erofs', 'network/virtio_blk'];

async function makeTree(folder: string, time: number): Promise<InitramfsInput> {
  const modules = join(folder, 'lib');
  await mkdir(join(modules, 'kernel/drivers'), { recursive: true });
  await mkdir(join(modules, 'kernel/fs'), { recursive: true });
  // The same modules, made in another order.
  const files = [
    'drivers/virtio_blk.ko',
    'drivers/virtio-mmio.ko',
    'drivers/virtio_ring.ko',
    'fs/erofs.ko',
    'fs/unused.ko',
  ];
  for (const file of time > 1000 ? files : files.toReversed()) {
    await writeFile(join(modules, 'kernel', file), `module ${file}`);
    await utimes(join(modules, 'kernel', file), time, time);
  }
  const init0 = join(folder, 'init0');
  await writeFile(init0, '#!init', { mode: 0o755 });
  return { init0, modules, moduleNames: NAMES, btrfsModules: ['kernel/lib/xor.ko', 'kernel/fs/btrfs.ko'] };
}

async function build(parent: string, name: string): Promise<string> {
  const folder = join(parent, name);
  await mkdir(folder);
  const input = await makeTree(folder, name === 'one' ? 1000 : 2000);
  const image = join(folder, 'initramfs.cpio');
  await makeInitramfs(join(folder, 'work'), image, input);
  return image;
}

test('makeInitramfs: holds init and the modules in their order, all of root, and no more', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const image = await build(dir.path, 'one');
  const { stdout } = await command('cpio', ['-itvn', '--quiet', '-F', image]);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/));
  expect(rows.map((row) => row.at(-1))).toEqual([
    '.',
    'init',
    'modules',
    'modules/network',
    'modules/order',
    'modules/btrfs',
    'modules/virtio_ring.ko',
    'modules/virtio-mmio.ko',
    'modules/erofs.ko',
    'modules/network/virtio_blk.ko',
  ]);
  expect(new Set(rows.map((row) => `${row[2]}:${row[3]}`))).toEqual(new Set(['0:0']));
  expect(rows[1]?.[0]).toBe('-rwxr-xr-x');
  const { stdout: order } = await command('sh', ['-c', `cpio -i --quiet --to-stdout modules/order < ${image}`]);
  expect(order).toBe('virtio_ring.ko\nvirtio-mmio.ko\nerofs.ko\nnetwork/virtio_blk.ko\n');
  const { stdout: btrfs } = await command('sh', ['-c', `cpio -i --quiet --to-stdout modules/btrfs < ${image}`]);
  expect(btrfs).toBe('kernel/lib/xor.ko\nkernel/fs/btrfs.ko\n');
});

test('modulesFor: names a module after all that it needs, and fails for one that the kernel has not', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const lines = [
    'kernel/fs/xbtrfs.ko: kernel/a.ko',
    'kernel/fs/btrfs.ko: kernel/xor.ko kernel/raid6.ko',
    'kernel/xor.ko:',
  ];
  await writeFile(join(dir.path, 'modules.dep'), lines.join('\n'));
  expect(await modulesFor(dir.path, 'btrfs')).toEqual(['kernel/raid6.ko', 'kernel/xor.ko', 'kernel/fs/btrfs.ko']);
  expect(await modulesFor(dir.path, 'xor')).toEqual(['kernel/xor.ko']);
  await expect(modulesFor(dir.path, 'zfs')).rejects.toThrow('Cannot find the module "zfs"');
});

test('makeInitramfs: gives the same bytes for the same input, whenever and wherever it is made', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const [one, two] = [await build(dir.path, 'one'), await build(dir.path, 'two')];
  expect((await readFile(one)).equals(await readFile(two))).toBe(true);
});

test('readModuleNames: reads names, without comments and empty lines', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  await writeFile(join(dir.path, 'modules.txt'), '# first\nvirtio_ring\n\n  erofs # why\n#x\n');
  expect(await readModuleNames(join(dir.path, 'modules.txt'))).toEqual(['virtio_ring', 'erofs']);
});
