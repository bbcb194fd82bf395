import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32, deflateRawSync } from 'node:zlib';
import type { FileHash } from '@vmlet/messages';
import { type Zippable, zipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { type CodeEncoding, CodeImages } from './image.ts';
import { UNPACK_LIMITS, type UnpackLimits } from './limits.ts';

const command = promisify(execFile);
const text = (words: string) => new TextEncoder().encode(words);
const OK = { 'main.py': text('app = 1\n') };

async function setUp(limits: Partial<UnpackLimits> = {}) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const folder = join(dir.path, 'code');
  const images = new CodeImages(folder, { ...UNPACK_LIMITS, ...limits });
  const source = async (bytes: Uint8Array, encoding: CodeEncoding = 'zip') => {
    const fileHash = createHash('sha256').update(bytes).digest('hex') as FileHash;
    const path = join(dir.path, fileHash);
    await writeFile(path, bytes);
    return { fileHash, encoding, path };
  };
  return {
    images,
    folder,
    source,
    dir: dir.path,
    ensure: async (bytes: Uint8Array, encoding?: CodeEncoding) => images.ensure(await source(bytes, encoding)),
    left: () => readdir(folder).catch(() => []),
    [Symbol.asyncDispose]: () => dir.remove(),
  };
}

/** Each line of the image's listing: mode, owner, size, path. */
async function listing(image: string): Promise<string[]> {
  const { stdout } = await command('unsquashfs', ['-lln', '-d', '', image]);
  return stdout
    .split('\n')
    .filter((line) => /^[-dl]/.test(line))
    .map((line) => line.replace(/\s+/g, ' '));
}

interface RawEntry {
  name: string;
  /** Upper half of the external attributes. */
  mode?: number;
  data?: Uint8Array;
  flags?: number;
  /** What the central directory claims. */
  size?: number;
  method?: number;
}

/** A zip byte by byte, for what no packer writes. */
function rawZip(entries: RawEntry[]): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { name, mode = 0o100644, data = text('x'), flags = 0x800, size, method = 0 } of entries) {
    const path = Buffer.from(name);
    const packed = method === 8 ? deflateRawSync(data) : Buffer.from(data);
    const common = Buffer.alloc(26);
    for (const [at, value] of [
      [0, 20],
      [2, flags],
      [4, method],
      [8, 0x21],
    ] as const)
      common.writeUInt16LE(value, at);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size ?? data.length, 18);
    common.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([Buffer.from('504b0304', 'hex'), common, path, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((mode << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    central.push(Buffer.concat([Buffer.from('504b0102', 'hex'), Buffer.from([20, 3]), common, tail, path]));
    parts.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('504b0506', 'hex');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, directory, end]);
}

describe('zip', () => {
  test('ensure: makes an image of folders, files and inner links, all of root', async () => {
    await using it = await setUp();
    const zip = rawZip([
      { name: 'main.py', data: text('app = 1\n'), mode: 0o100600, method: 8 },
      { name: 'bin/run', mode: 0o104755 },
      { name: 'pkg/', mode: 0o040700, data: text('') },
      { name: 'pkg/link', mode: 0o120777, data: text('../main.py') },
      { name: 'dos.txt', mode: 0 },
      { name: 'hélló wörld', data: text('') },
    ]);
    const image = await it.ensure(zip);
    expect(await listing(image)).toEqual([
      expect.stringMatching(/^drwxr-xr-x 0\/0 .*1970/),
      expect.stringMatching(/^drwxr-xr-x 0\/0 .*\/bin$/),
      expect.stringMatching(/^-rwxr-xr-x 0\/0 1 .*\/bin\/run$/),
      expect.stringMatching(/^-rwxr-xr-x 0\/0 1 .*\/dos.txt$/),
      expect.stringMatching(/\/hélló wörld$/),
      expect.stringMatching(/^-rw------- 0\/0 8 .*\/main.py$/),
      expect.stringMatching(/^drwxr-xr-x 0\/0 .*\/pkg$/),
      expect.stringMatching(/^lrwxrwxrwx 0\/0 .*\/pkg\/link -> ..\/main.py$/),
    ]);
    const { stdout } = await command('unsquashfs', ['-cat', image, 'main.py']);
    expect(stdout).toBe('app = 1\n');
    expect((await stat(image)).mode & 0o777).toBe(0o444);
    expect(await it.left()).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.zip\.v\d+\.squashfs$/)]);
  });

  test('ensure: gives the same bytes for the same archive, and makes it once', async () => {
    await using one = await setUp();
    await using two = await setUp();
    const files: Zippable = Object.fromEntries(
      Array.from({ length: 50 }, (_, index) => [`f${index}`, randomBytes(5000)]),
    );
    const zip = zipSync(files);
    const paths = await Promise.all([one.ensure(zip), one.ensure(zip), one.ensure(zip)]);
    expect(new Set(paths).size).toBe(1);
    expect(await readFile(paths[0])).toEqual(await readFile(await two.ensure(zip)));
    const before = (await stat(paths[0])).ino;
    await one.ensure(zip);
    expect((await stat(paths[0])).ino).toBe(before);
  });

  test.each([
    ['a path out of the archive', [{ name: '../evil' }]],
    ['an absolute path', [{ name: '/etc/evil' }]],
    ['a backslash', [{ name: 'a\\b' }]],
    ['the same path twice', [{ name: 'a' }, { name: 'a' }]],
    ['a file below a link', [{ name: 'a', mode: 0o120777, data: text('.') }, { name: 'a/b' }]],
    ['a link out of the archive', [{ name: 'a', mode: 0o120777, data: text('../../etc/passwd') }]],
    ['an absolute link', [{ name: 'a', mode: 0o120777, data: text('/etc/passwd') }]],
    ['a link of a book’s length', [{ name: 'a', mode: 0o120777, data: text('x'.repeat(1025)) }]],
    ['a device', [{ name: 'a', mode: 0o020644 }]],
    ['a pipe', [{ name: 'a', mode: 0o010644 }]],
    ['encryption', [{ name: 'a', flags: 0x801 }]],
    ['a size that is not so', [{ name: 'a', data: text('xyz'), size: 2, method: 8 }]],
    ['a size that is too much', [{ name: 'a', data: text('xyz'), size: 4, method: 8 }]],
    ['a method that nobody knows', [{ name: 'a', method: 99 }]],
  ] as [string, RawEntry[]][])('ensure: refuses %s, and leaves nothing', async (_name, entries) => {
    await using it = await setUp();
    await expect(it.ensure(rawZip([{ name: 'main.py' }, ...entries]))).rejects.toMatchObject({ code: 'CODE_REFUSED' });
    expect(await it.left()).toEqual([]);
  });

  test('ensure: refuses what is no zip, cut short or damaged', async () => {
    await using it = await setUp();
    const zip = Buffer.from(zipSync({ 'a.py': [randomBytes(20_000), { level: 9 }], 'b.py': text('x'.repeat(9000)) }));
    const damaged = Buffer.from(zip);
    damaged.fill(0xff, zip.length - 200, zip.length - 150);
    const inside = Buffer.from(zip);
    inside.fill(0x55, 20_050, 20_080);
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('text'),
      zip.subarray(0, zip.length - 9),
      zip.subarray(9),
      damaged,
      inside,
    ]) {
      await expect(it.ensure(bytes)).rejects.toMatchObject({ code: 'CODE_REFUSED' });
    }
    expect(await it.left()).toEqual([]);
  });

  test('ensure: refuses bombs and crowds', async () => {
    await using it = await setUp({ maxBytes: 1_000_000, ratioFreeBytes: 100_000, maxEntries: 10 });
    const bomb = zipSync({ zeros: [new Uint8Array(500_000), { level: 9 }] });
    await expect(it.ensure(bomb)).rejects.toThrow('zip bomb');
    await expect(it.ensure(zipSync({ big: [randomBytes(1_000_001), { level: 0 }] }))).rejects.toThrow(
      'over 1000000 bytes',
    );
    const crowd: Zippable = Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`f${index}`, text('')]));
    await expect(it.ensure(zipSync(crowd))).rejects.toThrow('over 10 entries');
    const overlapping = rawZip(Array.from({ length: 9 }, (_, index) => ({ name: `${index}`, size: 200_000 })));
    await expect(it.ensure(overlapping)).rejects.toMatchObject({ code: 'CODE_REFUSED' });
    expect(await it.left()).toEqual([]);
  });

  test('ensure: makes an image of an archive with nothing in it', async () => {
    await using it = await setUp();
    expect(await listing(await it.ensure(zipSync({})))).toHaveLength(1);
  });

  test('ensure: tries anew, after a failure', async () => {
    await using it = await setUp();
    const source = await it.source(zipSync(OK));
    await expect(it.images.ensure({ ...source, path: `${source.path}.absent` })).rejects.toMatchObject({
      code: 'INTERNAL',
    });
    expect(await it.images.ensure(source)).toMatch(/squashfs$/);
  });
});

describe('other code', () => {
  test('ensure: makes a module of plain code', async () => {
    await using it = await setUp();
    const image = await it.ensure(text('app = 2\n'), 'plain');
    expect((await command('unsquashfs', ['-cat', image, 'main.py'])).stdout).toBe('app = 2\n');
    await expect(it.ensure(new Uint8Array(10 * 1024 * 1024 + 1), 'plain')).rejects.toThrow('plain code of');
  });

  test('ensure: makes both images of the same bytes at once, each its own', async () => {
    await using it = await setUp();
    const zip = zipSync(OK);
    const [asZip, asPlain] = await Promise.all([it.ensure(zip), it.ensure(zip, 'plain')]);
    expect((await command('unsquashfs', ['-cat', asZip, 'main.py'])).stdout).toBe('app = 1\n');
    const { stdout } = await command('unsquashfs', ['-cat', asPlain, 'main.py'], { encoding: 'buffer' });
    expect(stdout).toEqual(Buffer.from(zip));
    expect(await it.left()).toHaveLength(2);
  });

  test('ensure: uses a squashfs as it is, if it is whole', async () => {
    await using it = await setUp();
    const image = await readFile(await it.ensure(zipSync({ a: randomBytes(20_000) })));
    const source = await it.source(image, 'squashfs');
    expect(await it.images.ensure(source)).toBe(source.path);
    await expect(it.ensure(image.subarray(0, 10_000), 'squashfs')).rejects.toThrow('in a file of 10000');
    await expect(it.ensure(image.subarray(0, 50), 'squashfs')).rejects.toThrow('no squashfs superblock');
    await expect(it.ensure(zipSync(OK), 'squashfs')).rejects.toMatchObject({ code: 'CODE_REFUSED' });
  });

  test('sweepTemporary: removes what a killed node has left, and no image', async () => {
    await using it = await setUp();
    await it.images.sweepTemporary();
    const image = await it.ensure(zipSync(OK));
    await writeFile(join(it.folder, '.tmp-half'), 'x');
    await it.images.sweepTemporary();
    expect((await it.left()).map((name) => join(it.folder, name))).toEqual([image]);
  });
});

test('ensure: says that the disk is full, when it is, and leaves nothing', async (context) => {
  context.skip(process.getuid?.() !== 0, 'only root may mount a small filesystem');
  await using it = await setUp();
  const small = join(it.dir, 'small');
  await mkdir(small);
  // In a mount namespace of its own, so that nothing is mounted on the host.
  const { path, fileHash } = await it.source(
    zipSync(
      Object.fromEntries(
        Array.from({ length: 40 }, (_, index) => [`d${index}/f`, [randomBytes(100_000), { level: 0 }]]),
      ) as Zippable,
    ),
  );
  const script = `
    import { CodeImages } from ${JSON.stringify(join(import.meta.dirname, 'image.ts'))};
    import { readdir } from 'node:fs/promises';
    const images = new CodeImages(${JSON.stringify(small)});
    const error = await images.ensure({ fileHash: '${fileHash}', encoding: 'zip', path: ${JSON.stringify(path)} }).catch((e) => e);
    console.log(JSON.stringify({ code: error.code, left: await readdir(${JSON.stringify(small)}) }));`;
  const shell = `mount -t tmpfs -o size=1m tmpfs "$0" && exec "$1" --input-type=module -e "$2"`;
  const { stdout } = await command('unshare', [
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    shell,
    small,
    process.execPath,
    script,
  ]);
  expect(JSON.parse(stdout)).toEqual({ code: 'CODE_IMAGE_NO_SPACE', left: [] });
});
