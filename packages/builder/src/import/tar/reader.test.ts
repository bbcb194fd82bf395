import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { link, lstat, mkdir, mkdtempDisposable, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ImportError } from '../errors.ts';
import { IMPORT_LIMITS } from '../limits.ts';
import { listTar, tarOf } from '../testing.ts';

const run = promisify(execFile);
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
const FUZZED = process.env.VMLET_TEST_ALL ? 100_000 : 3000;

/** A tree with what archives find hard, packed by the machine's tar. */
async function packed(options: readonly string[]) {
  const dir = await makeDir();
  const tree = join(dir.path, 'tree');
  const deep = join(tree, 'a'.repeat(120), 'b'.repeat(120));
  await mkdir(deep, { recursive: true });
  await writeFile(join(deep, 'deep'), 'deep');
  await writeFile(join(tree, 'setuid'), '#!', { mode: 0o755 });
  await run('chmod', ['4711', join(tree, 'setuid')]);
  await writeFile(Buffer.concat([Buffer.from(`${tree}/latin-`), Buffer.from([0xe9])]), 'bytes');
  await symlink('x'.repeat(200), join(tree, 'link'));
  await link(join(tree, 'setuid'), join(tree, 'twin'));
  await run('mkfifo', [join(tree, 'pipe')]);
  await writeFile(join(tree, 'holes'), 'start');
  await truncate(join(tree, 'holes'), 3_000_000);
  const file = join(dir.path, 'out.tar');
  await run('tar', ['--sort=name', ...options, '-C', tree, '-cf', file, '.']);
  return { file, tree, [Symbol.asyncDispose]: () => dir.remove() };
}

describe('TarReader', () => {
  test.each([
    ['POSIX', ['--format=posix']],
    ['GNU', ['--format=gnu']],
    ['POSIX with holes by records', ['--format=posix', '--sparse', '--sparse-version=0.0']],
    ['POSIX with holes by a map', ['--format=posix', '--sparse', '--sparse-version=0.1']],
    ['POSIX with holes in the content', ['--format=posix', '--sparse', '--sparse-version=1.0']],
    ['GNU with holes', ['--format=gnu', '--sparse']],
  ])('TarReader: reads what tar writes in its format %s', async (_, options) => {
    await using it = await packed(options);
    const found = await listTar(createReadStream(it.file));
    const byName = new Map(found.map((one) => [one.entry.name.replace(/^\.\//, ''), one]));
    const deep = `${'a'.repeat(120)}/${'b'.repeat(120)}`;
    expect([...byName.keys()].toSorted()).toEqual(
      [
        ...['', `${deep.slice(0, 120)}/`, `${deep}/`, `${deep}/deep`, 'holes', 'latin-\xe9', 'link', 'pipe', 'setuid'],
        'twin',
      ].toSorted(),
    );
    expect(byName.get(`${deep}/deep`)).toMatchObject({ content: 'deep', entry: { kind: 'file', size: 4 } });
    expect(byName.get('setuid')?.entry).toMatchObject({ kind: 'file', mode: 0o4711 });
    expect(byName.get('twin')?.entry).toMatchObject({ kind: 'link', linkname: './setuid' });
    expect(byName.get('link')?.entry).toMatchObject({ kind: 'symlink', linkname: 'x'.repeat(200) });
    expect(byName.get('pipe')?.entry).toMatchObject({ kind: 'fifo' });
    expect(byName.get('latin-\xe9')?.content).toBe('bytes');
    const { content = '', entry } = byName.get('holes') ?? {};
    expect([content.length, content.slice(0, 5), entry?.size]).toEqual([3_000_000, 'start', 3_000_000]);
    expect(content.slice(5).replaceAll('\0', '')).toBe('');
    const { mtimeMs } = await lstat(join(it.tree, 'setuid'));
    expect(byName.get('setuid')?.entry.mtime).toBe(Math.floor(mtimeMs / 1000));
  });

  test('TarReader: reads extended attributes byte by byte, and what is written again', async () => {
    const xattrs = new Map([
      ['user.a', Buffer.from([0, 0xff, 0x0a, 0x3d])],
      ['security.capability', Buffer.alloc(20, 0x80)],
    ]);
    const name = `${'n'.repeat(200)}\xff`;
    const [found] = await listTar(Readable.from([await tarOf([{ name, xattrs, mtime: 2 ** 34, uid: 3_000_000 }])]));
    expect(found?.entry).toMatchObject({ name, mtime: 2 ** 34, uid: 3_000_000 });
    expect(new Map(found?.entry.xattrs)).toEqual(xattrs);
  });

  test.each<[string, (tar: Buffer) => Buffer, RegExp]>([
    ['an end in the middle', (tar) => tar.subarray(0, 700), /it ends in the middle/],
    ['another file', () => Buffer.alloc(4096, 'text'), /a header with a wrong checksum/],
    ['nothing', () => Buffer.alloc(0), /it ends in the middle/],
    ['an unknown kind', (tar) => typed(tar, 'Z'), /"a" is of the type "Z"/],
    ['a second volume', (tar) => typed(tar, 'M'), /"a" is of the type "M"/],
  ])('TarReader: refuses %s', async (_, change, words) => {
    const tar = change(await tarOf([{ name: 'a', content: 'x'.repeat(1000) }]));
    const reading = listTar(Readable.from([tar]));
    await expect(reading).rejects.toBeInstanceOf(ImportError);
    await expect(reading).rejects.toThrow(words);
  });

  test('TarReader: ends or refuses in words, whatever bytes of an archive are changed', async () => {
    await using it = await packed(['--format=posix', '--sparse']);
    const whole = (await buffer(createReadStream(it.file))).subarray(0, 16_384);
    const limits = { ...IMPORT_LIMITS, headerBytes: 4096 };
    const change = fc.record({ at: fc.nat(whole.length - 1), value: fc.nat(255), fixed: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const bytes = Buffer.from(whole);
        for (const { at, value, fixed } of changes) {
          bytes[at] = value;
          if (fixed) fixChecksum(bytes, at - (at % 512));
        }
        const found = await listTar(Readable.from([bytes]), limits).catch((error: unknown) => error);
        if (found instanceof Error && !(found instanceof ImportError)) throw found;
      }),
      { numRuns: FUZZED / 3 },
    );
  });
});

function typed(tar: Buffer, type: string): Buffer {
  const changed = Buffer.from(tar);
  changed.write(type, 156);
  fixChecksum(changed, 0);
  return changed;
}

function fixChecksum(bytes: Buffer, at: number): void {
  const block = bytes.subarray(at, at + 512);
  if (block.length < 512) return;
  block.write(' '.repeat(8), 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}
