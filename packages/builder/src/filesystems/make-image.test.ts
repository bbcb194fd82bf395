import { createHash } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolvePaths, run } from '@vmlet/host';
import { expect, test } from 'vitest';
import { type Box, openBox } from '../box/index.ts';
import { type Recipe, RecipeError } from '../recipe.ts';
import { type MakeImageOptions, makeImage } from './index.ts';

const { cache } = resolvePaths();
const EPOCH = 1_700_000_000;
const MIB_BYTES = 1024 * 1024;
const FORMATS = ['erofs', 'squashfs', 'ext4', 'btrfs'] as const;
type Format = (typeof FORMATS)[number];
const COMPRESSIONS = { erofs: 'lz4hc', squashfs: 'zstd', ext4: undefined, btrfs: undefined } as const;

/** Opens a box in a folder of its own; `parent` says on which disk. */
async function setUp(parent = tmpdir()) {
  const dir = await mkdtempDisposable(join(parent, 'vmlet-test-'));
  const box = await openBox(join(dir.path, 'boxes'), 'image', { cache });
  return {
    box,
    make: (format: Format, more: Partial<Recipe['filesystem']> = {}, options: Partial<MakeImageOptions> = {}) =>
      makeImage(box, {
        ...{ tree: 'root', image: 'image', epochSeconds: EPOCH, ...options },
        filesystem: { format, maxSizeMiB: 1024, ...{ compression: COMPRESSIONS[format], ...more } },
      }),
    async [Symbol.asyncDispose]() {
      await box[Symbol.asyncDispose]();
      await dir.remove();
    },
  };
}

/**
 * A tree with whatever a root filesystem may have. It is made in an order that depends on the seed, with times of access
 * and holes that do too.
 */
const TREE = `
import os, random, struct, sys
root, seed = sys.argv[1], int(sys.argv[2])
order = random.Random(seed)
files = {'many/%d' % n: b'x' * n for n in range(200)}
files.update({'bin/su': b'su', 'bin/ping': b'ping', 'one': b'linked' * 1000, 'empty': b'', 'attributes': b'a',
  'large': bytes(range(256)) * 4096, 'deep/' + 'l' * 254: b'long', 'caf\\u00e9': b'utf-8'})
made = [(path, 'file') for path in files] + [(path, path) for path in ('fifo', 'whiteout', 'folder', 'sparse', 'link')]
order.shuffle(made)
os.mkdir(root)
for path, kind in made:
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    if kind == 'file': open(full, 'wb').write(files[path])
    if kind == 'fifo': os.mkfifo(full)
    if kind == 'whiteout': os.mknod(full, 0o20600, 0)
    if kind == 'folder': os.mkdir(full)
    if kind == 'link': os.symlink('x' * 200, full)
    if kind == 'sparse':
        with open(full, 'wb') as file:
            file.seek(3 << 20) if seed % 2 else file.write(bytes(3 << 20))
            file.write(b'data')
            file.truncate(8 << 20) if seed % 2 else file.write(bytes((8 << 20) - file.tell()))
names = ['two', 'bin/three']
order.shuffle(names)
for name in names: os.link(root + '/one', os.path.join(root, name))
attributes = [('user.b', b'B' * 200), ('user.a', b'A'), ('user.c', b'C')]
order.shuffle(attributes)
for name, value in attributes: os.setxattr(root + '/attributes', name, value)
os.chown(root + '/empty', 65534, 65535)
os.chown(root + '/many/7', 1000, 50)
os.setxattr(root + '/bin/ping', 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 13, 0, 0, 0))
os.chmod(root + '/bin/su', 0o4755)
os.chmod(root, 0o751)
for folder, folders, names in os.walk(root, topdown=False):
    for name in folders + names:
        full = os.path.join(folder, name)
        os.utime(full, (seed, 1600000000 + len(name)), follow_symlinks=False)
os.utime(root, (seed, 1600000000))
`;
const makeTree = (box: Box, seed: number) => box.run(['python3', '-c', TREE, 'root', String(seed)]);

/** A disk of another kind, which lists a folder's files in another order; where it keeps attributes. */
async function otherDisk(): Promise<string> {
  const script = 'import os; os.mkfifo(p := f"/dev/shm/vmlet-{os.getpid()}"); os.unlink(p)';
  const attributes =
    'import os,tempfile; f = tempfile.NamedTemporaryFile(dir="/dev/shm"); os.setxattr(f.name, "user.a", b"")';
  return run('python3', ['-c', `${script}\n${attributes}`]).then(
    () => '/dev/shm',
    () => tmpdir(),
  );
}

async function hashOf(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

test.each(FORMATS)(
  'makeImage: gives the same bytes of %s for the same tree, on another disk, in another order and later',
  async (format) => {
    const hashes: string[] = [];
    for (const [seed, parent] of [tmpdir(), await otherDisk()].entries()) {
      await using it = await setUp(parent);
      await makeTree(it.box, seed);
      await it.make(format);
      hashes.push(await hashOf(join(it.box.work, 'image')));
    }
    expect(hashes[1]).toBe(hashes[0]);
  },
);

/** What is said of an image by the tool that checks its kind; each fails where there is something to repair. */
const CHECKS: Readonly<Record<Format, readonly string[]>> = {
  erofs: ['fsck.erofs', '--extract=out', 'image'],
  squashfs: ['unsquashfs', '-quiet', '-no-progress', '-d', 'out', 'image'],
  ext4: ['e2fsck', '-fn', 'image'],
  btrfs: ['btrfs', 'check', '--check-data-csum', 'image'],
};

test.each(FORMATS)('makeImage: makes a sound %s, as large as it has to be', async (format) => {
  await using it = await setUp();
  await makeTree(it.box, 1);
  await it.make(format);
  await it.box.run(CHECKS[format]);
  const { size } = await stat(join(it.box.work, 'image'));
  // btrfs hands out its space in pieces of at least 8 MiB.
  const limitMiB = { erofs: 1, squashfs: 1, ext4: 12, btrfs: 100 }[format];
  expect(size).toBeLessThan(limitMiB * MIB_BYTES);
});

/** `i_mode` of a file's inode, which dump.erofs shows without its first bits. */
async function erofsModeOf(box: Box, path: string): Promise<number> {
  const number = Number(/NID: (\d+)/.exec(await box.run(['dump.erofs', `--path=${path}`, 'image']))?.[1]);
  const image = await readFile(join(box.work, 'image'));
  const firstBlock = image.readUInt32LE(1024 + 40);
  return image.readUInt16LE(firstBlock * 4096 + number * 32 + 4);
}

/** Kind, mode, owner, links, size and time of files, as `stat` prints them, of what the tools above have got out again. */
test.each(['erofs', 'squashfs'] as const)('makeImage: keeps what a tree has in %s', async (format) => {
  await using it = await setUp();
  await makeTree(it.box, 1);
  await it.make(format);
  await it.box.run(CHECKS[format]);
  // fsck.erofs gives a file away after it has made it setuid, which takes that back: the inode says it below.
  if (format === 'erofs') await it.box.run(['chmod', '4755', 'out/bin/su']);
  const script = `cd "$1" && find . ! -type d -printf '%P %M %U %G %s %T@ %l\\n' | sort`;
  const of = (tree: string) => it.box.run(['sh', '-c', script, 'sh', tree]);
  expect(await of('out')).toBe(await of('root'));
  if (format === 'erofs') expect(((await erofsModeOf(it.box, '/bin/su')) & 0o7777).toString(8)).toBe('4755');
});

test('makeImage: keeps owners, modes, links, attributes and the root folder’s own in ext4, and most in btrfs', async () => {
  await using it = await setUp();
  await makeTree(it.box, 1);
  await it.make('ext4', {}, { label: 'a label that is too long' });
  const inode = (path: string) => it.box.run(['debugfs', '-R', `stat ${path}`, 'image']);
  expect(await inode('<2>')).toMatch(/Mode: {2}0751 .* mtime: 0x5f5e1000:/s);
  expect(await inode('bin/su')).toMatch(/Mode: {2}04755/);
  expect(await inode('empty')).toMatch(/User: 65534 {3}Group: 65535/);
  expect(await inode('two')).toMatch(/Size: 6000\n.*\nLinks: 3/);
  expect(await inode('whiteout')).toMatch(/Device major\/minor number: 00:00/);
  expect(await inode('bin/ping')).toContain('security.capability (20) = 01 00 00 02 00 20 00 00');
  expect(await inode('sparse')).toMatch(/Size: 8388608\n.*\nLinks: 1 {3}Blockcount: 8\n/);
  expect(await it.box.run(['dumpe2fs', '-h', 'image'])).toMatch(/volume name: {3}a label that is /);

  await it.make('btrfs', {}, { label: 'a label' });
  const dump = await it.box.run(['btrfs', 'inspect-internal', 'dump-tree', '-t', 'fs', 'image']);
  // Of the root folder mkfs.btrfs 6.2 takes the attributes alone.
  expect(dump).toMatch(/item 0 key \(256 INODE_ITEM 0\).*?mode 40755 links 1 uid 0 gid 0/s);
  expect(dump).toMatch(/mode 104755 links 1 uid 0 gid 0/);
  expect(dump).toMatch(/mode 100644 links 1 uid 65534 gid 65535/);
  expect(dump).toMatch(/size 6000 .*\n.*mode 100644 links 3/);
  expect(dump).toMatch(/name: security\.capability/);
  expect(await it.box.run(['btrfs', 'inspect-internal', 'dump-super', 'image'])).toMatch(/label\s+a label\n/);
});

test('makeImage: leaves as much free as is wanted in ext4 and btrfs, and gives one with a journal', async () => {
  await using it = await setUp();
  await makeTree(it.box, 1);
  const freeMiB = 64;
  await it.make('ext4', { freeMiB });
  await it.box.run(CHECKS.ext4);
  const said = await it.box.run(['dumpe2fs', '-h', 'image']);
  expect(said).toContain('has_journal');
  const freeBlocks = Number(/^Free blocks: +(\d+)$/m.exec(said)?.[1]);
  expect(freeBlocks * 4096).toBeGreaterThanOrEqual(freeMiB * MIB_BYTES);
  expect(freeBlocks * 4096).toBeLessThan((freeMiB + 12) * MIB_BYTES);
  await it.make('btrfs');
  const { size } = await stat(join(it.box.work, 'image'));
  await it.make('btrfs', { freeMiB: 512 });
  await it.box.run(CHECKS.btrfs);
  expect((await stat(join(it.box.work, 'image'))).size).toBe(size + 512 * MIB_BYTES);
});

test('makeImage: is uncompressed, and with larger clusters, where the recipe says so', async () => {
  await using it = await setUp();
  await makeTree(it.box, 1);
  const sizeOf = async (format: 'erofs' | 'squashfs', more: Partial<Recipe['filesystem']>) => {
    await it.make(format, more);
    await it.box.run(['rm', '-rf', 'out']);
    await it.box.run(CHECKS[format]);
    return (await stat(join(it.box.work, 'image'))).size;
  };
  for (const format of ['erofs', 'squashfs'] as const) {
    const small = await sizeOf(format, {});
    expect(await sizeOf(format, { compression: 'none' })).toBeGreaterThan(small);
    expect(await sizeOf(format, { compression: 'lz4', clusterKiB: 64 })).toBeLessThan(MIB_BYTES);
  }
});

test('makeImage: refuses a name of 255 bytes for erofs, whose tool loses it, and no other', async () => {
  await using it = await setUp();
  const name = `${'é'.repeat(127)}x`;
  await it.box.run(['sh', '-c', 'mkdir -p root/folder && echo hello > "root/folder/$1"', 'sh', name]);
  const failure = it.make('erofs');
  await expect(failure).rejects.toBeInstanceOf(RecipeError);
  await expect(failure).rejects.toThrow(`"folder/${name}" has a name of over 254 bytes`);
  expect(await readdir(it.box.work)).toEqual(['root']);
  await it.make('squashfs');
  await it.make('ext4');
  await it.make('btrfs');
});

test('makeImage: leaves no image when it fails or is aborted', async () => {
  await using it = await setUp();
  for (const format of FORMATS) {
    await expect(it.make(format, {}, { tree: 'absent' })).rejects.toThrow(/^Cannot run "/);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(it.make(format, {}, { signal })).rejects.toThrow('enough');
  }
  expect(await readdir(it.box.work)).toEqual([]);
});

test('makeImage: says that the disk is full, whatever its tools say, and leaves no image', async (context) => {
  context.skip(process.getuid?.() !== 0, 'only root may mount a small filesystem');
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const script = `
    import { readdir } from 'node:fs/promises';
    import { openBox } from ${JSON.stringify(join(import.meta.dirname, '../box/index.ts'))};
    import { makeImage } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    const [folder, cache, ...formats] = process.argv.slice(1);
    await using box = await openBox(folder, 'full', { cache });
    await box.run(['sh', '-c', 'mkdir root; for name in a b; do head -c 6000000 /dev/urandom > root/$name; done']);
    for (const format of formats) {
      const filesystem = { format, maxSizeMiB: 64 };
      const error = await makeImage(box, { tree: 'root', image: 'image', epochSeconds: 1, filesystem }).catch((e) => e);
      console.log(JSON.stringify({ format, name: error?.name, cause: error?.cause?.name, left: await readdir(box.work) }));
    }`;
  // In a mount namespace of its own, so that nothing is mounted on the host.
  const shell = `mount -t tmpfs -o size=16m tmpfs "$0" && exec "$1" --input-type=module -e "$2" "$0" "$3" $4`;
  const args = ['sh', '-euc', shell, dir.path, process.execPath, script, cache, FORMATS.join(' ')];
  const printed = await run('unshare', ['--mount', ...args]);
  const told = printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(told).toEqual(FORMATS.map((format) => ({ format, name: 'DiskFull', cause: 'CommandFailed', left: ['root'] })));
});
