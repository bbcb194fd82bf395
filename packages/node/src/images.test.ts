import { execFile } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { resolvePaths } from '@vmlet/host';
import { extract } from 'tar-stream';
import { expect, test } from 'vitest';
import { makeExt4, makeTree, type Tree } from '../../../tests/framework/images.ts';
import { streamTree } from './images.ts';

const { cache } = resolvePaths();
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

test('tree: an image with a file larger than anything is refused, before any of it is read', async () => {
  await using dir = await makeDir();
  await makeTree(join(dir.path, 'giant'), { 'srv/giant': { sparseBytes: 1024 ** 4 } });
  const image = await makeExt4(join(dir.path, 'giant'), join(dir.path, 'giant.ext4'));
  await expect(text(streamTree(image, { cache, maxBytes: 50_000_000 }))).rejects.toMatchObject({
    code: 'IMAGE_UNREADABLE',
    message: expect.stringContaining('more bytes than were asked for at most'),
  });
});

test('tree: comes out of an image with its owners, modes, times, links and attributes', async () => {
  await using dir = await makeDir();
  const long = `usr/${'long/'.repeat(30)}file`;
  const tree: Tree = {
    'bin/tool': { text: 'tool', mode: 0o4755 },
    'bin/same': { hardLink: 'bin/tool' },
    'etc/link': { link: '../bin/tool' },
    [long]: 'deep',
    'srv/ünï\ncode': 'odd',
    'srv/holes': { sparseBytes: 3_000_000 },
    'empty/.keep': '',
  };
  const folder = join(dir.path, 'good');
  await makeTree(folder, tree);
  await promisify(execFile)('python3', [
    '-c',
    'import os,sys; os.setxattr(sys.argv[1], "user.note", b"a\\0b\\n=c"); os.utime(sys.argv[1], (9, 12345))',
    join(folder, 'bin/tool'),
  ]);
  const good = await makeExt4(folder, join(dir.path, 'good.ext4'));
  const entries = await readTar(streamTree(good, { cache }));
  expect([...entries.keys()]).toEqual([
    ...['./', 'bin/', 'bin/same', 'bin/tool', 'empty/', 'empty/.keep', 'etc/', 'etc/link', 'srv/', 'srv/holes'],
    ...['srv/ünï\ncode', 'usr/', ...Array.from({ length: 30 }, (_, n) => `usr/${'long/'.repeat(n + 1)}`), long],
  ]);
  expect(entries.get('bin/same')).toMatchObject({
    type: 'file',
    mode: 0o4755,
    body: 'tool',
    mtime: 12345_000,
    uid: 0,
  });
  expect(entries.get('bin/same')?.pax).toMatchObject({ 'SCHILY.xattr.user.note': 'a\0b\n=c' });
  expect(entries.get('bin/tool')).toMatchObject({ type: 'link', linkname: 'bin/same', body: '' });
  expect(entries.get('etc/link')).toMatchObject({ type: 'symlink', linkname: '../bin/tool' });
  expect(entries.get('srv/holes')?.body).toBe('\0'.repeat(3_000_000));
  expect(entries.get(long)?.body).toBe('deep');
});

interface TarEntry {
  type: string;
  mode: number;
  uid: number;
  mtime: number;
  linkname: string | null | undefined;
  pax: Record<string, string>;
  body: string;
}

async function readTar(tar: NodeJS.ReadableStream): Promise<Map<string, TarEntry>> {
  const entries = new Map<string, TarEntry>();
  const unpacked = tar.pipe(extract());
  tar.on('error', (error) => unpacked.destroy(error));
  for await (const entry of unpacked) {
    const { name, type, mode, uid, mtime, linkname, pax } = entry.header;
    const body = await text(entry);
    entries.set(name, {
      ...{ type: String(type), mode: mode ?? 0, uid: uid ?? -1, mtime: mtime?.getTime() ?? 0, linkname },
      ...{ pax: (pax as Record<string, string> | undefined) ?? {}, body },
    });
  }
  return entries;
}
