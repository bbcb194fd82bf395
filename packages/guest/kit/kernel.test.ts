import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { unpackKernel } from './kernel.ts';

const ELF = Buffer.concat([Buffer.from('\u007fELF'), randomBytes(100_000), Buffer.alloc(100_000)]);
const SETUP_SECTORS = 3;
const OFFSET = 0x40;

/** A bzImage around a payload, as boot.rst lays it out. */
function bzImage(payload: Buffer): Buffer {
  const setup = Buffer.alloc((SETUP_SECTORS + 1) * 512);
  setup[0x1f1] = SETUP_SECTORS;
  setup.write('HdrS', 0x202, 'latin1');
  setup.writeUInt32LE(OFFSET, 0x248);
  setup.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([setup, Buffer.alloc(OFFSET), payload, Buffer.alloc(4096, 0xcc)]);
}

/** Linux appends the size to what has none (Makefile: lz4_with_size, zstd22_with_size), and nothing to gzip. */
function withSize(packed: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(ELF.length);
  return Buffer.concat([packed, size]);
}

async function lz4(folder: string): Promise<Buffer> {
  await writeFile(join(folder, 'raw'), ELF);
  await promisify(execFile)('lz4', ['-q', '-l', '-9', join(folder, 'raw'), join(folder, 'raw.lz4')]);
  return readFile(join(folder, 'raw.lz4'));
}

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

test.each([
  ['gzip', async () => gzipSync(ELF)],
  ['zstd', async () => withSize(zstdCompressSync(ELF))],
  ['lz4', async (folder: string) => withSize(await lz4(folder))],
])('unpackKernel: gives the kernel inside, packed with %s', async (_name, pack) => {
  await using dir = await makeDir();
  await using work = await makeDir();
  const image = join(dir.path, 'vmlinuz');
  await writeFile(image, bzImage(await pack(work.path)));
  await unpackKernel(image, join(dir.path, 'vmlinux'));
  expect((await readFile(join(dir.path, 'vmlinux'))).equals(ELF)).toBe(true);
  expect((await readdir(dir.path)).sort()).toEqual(['vmlinux', 'vmlinuz']);
});

test.each([
  ['no bzImage', Buffer.alloc(4096), 'no boot header found'],
  ['an empty file', Buffer.alloc(0), 'no boot header found'],
  [
    'an unknown compression',
    bzImage(Buffer.from('fd377a585a0000000000', 'hex')),
    'begins with 0x587a37fd, expected lz4, zstd or gzip',
  ],
  ['no payload', bzImage(Buffer.alloc(0)), 'it ends before its payload'],
  ['a file that is cut', bzImage(gzipSync(ELF)).subarray(0, 2060), 'it ends before its payload'],
])('unpackKernel: refuses %s', async (_name, bytes, words) => {
  await using dir = await makeDir();
  const image = join(dir.path, 'vmlinuz');
  await writeFile(image, bytes);
  await expect(unpackKernel(image, join(dir.path, 'vmlinux'))).rejects.toThrow(words);
});

test('unpackKernel: fails, for a payload that is damaged', async () => {
  await using dir = await makeDir();
  const packed = gzipSync(ELF);
  packed.fill(0x55, 1000, 1100);
  await writeFile(join(dir.path, 'vmlinuz'), bzImage(packed));
  await expect(unpackKernel(join(dir.path, 'vmlinuz'), join(dir.path, 'vmlinux'))).rejects.toThrow();
});
