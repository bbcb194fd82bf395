import { chmod, truncate, utimes } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../testing.ts';
import { PACK_LIMITS } from './limits.ts';
import { readZipEntries } from './read-zip.ts';
import { largestOf } from './sizes.ts';
import { walkFolder } from './walk.ts';
import { packFiles, zipEntries } from './zip.ts';

const { signal } = new AbortController();

async function zipOf(path: string, limits = PACK_LIMITS) {
  const { files } = await walkFolder(path, { signal, limits });
  const upload = zipEntries(await packFiles(files, { folder: path, limits, signal }), 'code.zip', {
    folder: path,
    limits,
  });
  const chunks: Uint8Array[] = [];
  for await (const chunk of upload.open()) chunks.push(chunk);
  return { ...upload, bytes: Buffer.concat(chunks) };
}

const PROGRAM = {
  'main.py': 'app = 1\n',
  'data/long.txt': 'abc '.repeat(1000),
  'data/ünï.txt': 'ü',
  empty: '',
  __proto: 'x',
  '123': 'a name that looks like a number',
  'link.py': '->main.py',
};

describe('pack', () => {
  test('pack: makes the same bytes, when files were made in another order, at another time, with another umask', async () => {
    await using one = await temporaryFolder(PROGRAM);
    await using two = await temporaryFolder(Object.fromEntries(Object.entries(PROGRAM).toReversed()));
    await utimes(join(two.path, 'main.py'), 1, 2);
    await chmod(join(two.path, 'main.py'), 0o600);
    const [a, b] = [await zipOf(one.path), await zipOf(two.path)];
    expect(a.bytes.equals(b.bytes)).toBe(true);
    expect(a.fileHash).toBe(b.fileHash);
    expect(a.sizeBytes).toBe(a.bytes.length);
  });

  test('pack: makes the bytes that it made before, when the version of a library changes', async () => {
    await using folder = await temporaryFolder({ 'main.py': 'app = 1\n', 'a/b.txt': 'abc '.repeat(1000) });
    // Changes only on purpose: every folder deployed before would be uploaded again.
    expect((await zipOf(folder.path)).fileHash).toBe(GOLDEN);
  });

  test('pack: keeps names, contents and modes, when unpacked', async () => {
    await using folder = await temporaryFolder(PROGRAM);
    await chmod(join(folder.path, 'main.py'), 0o755);
    const { bytes } = await zipOf(folder.path);
    const unpacked = unzipSync(bytes);
    expect(Object.keys(unpacked).toSorted()).toEqual(Object.keys(PROGRAM).toSorted());
    expect(Buffer.from(unpacked['data/long.txt']!).toString()).toBe(PROGRAM['data/long.txt']);
    expect(Buffer.from(unpacked['link.py']!).toString()).toBe('main.py');
    const [, ...members] = bytes.toString('latin1').split('PK\u0001\u0002');
    const modes = members.map((member) => Buffer.from(member, 'latin1').readUInt16LE(36));
    expect(new Set(modes)).toEqual(new Set([0o100755, 0o100644, 0o120777]));
  });

  test('pack: leaves out caches, environments and secrets, and says so', async () => {
    await using folder = await temporaryFolder({
      'main.py': '',
      '.env': 'KEY=1',
      '.env.production': 'KEY=1',
      '.env.example': 'KEY=',
      '.git/config': '',
      'lib/__pycache__/a.pyc': '',
      'lib/b.pyc': '',
      'lib/c.py': '',
      'node_modules/x/index.js': '',
      'myenv/pyvenv.cfg': '',
      'myenv/bin/python': '',
      '.vmlet/site-packages/x.py': '',
    });
    const { files, ignored } = await walkFolder(folder.path, { signal });
    expect(files.map((file) => file.path)).toEqual(['.env.example', 'lib/c.py', 'main.py']);
    expect(ignored).toEqual([
      '.env',
      '.env.production',
      '.git/',
      '.vmlet/',
      'lib/__pycache__/',
      'lib/b.pyc',
      'myenv/',
      'node_modules/',
    ]);
  });

  test('pack: leaves out what .vmletignore says, and takes back what it says with "!"', async () => {
    await using folder = await temporaryFolder({
      '.vmletignore': '# data\n*.log\n/data/\n!data/\n!.env.production\ndocs/**\n!docs/kept.md\n',
      'main.py': '',
      'a.log': '',
      'lib/b.log': '',
      'data/x': '',
      'docs/kept.md': '',
      'docs/other.md': '',
      '.env': '',
      '.env.production': '',
    });
    const { files, ignored } = await walkFolder(folder.path, { signal });
    expect(files.map((file) => file.path)).toEqual(['.env.production', 'data/x', 'docs/kept.md', 'main.py']);
    expect(ignored).toEqual(['.env', '.vmletignore', 'a.log', 'docs/other.md', 'lib/b.log']);
  });

  test.each([
    ['an absolute target', { 'main.py': '', link: '->/etc/passwd' }],
    ['a target above', { 'main.py': '', link: '->../outside' }],
    ['no target', { 'main.py': '', link: '->nothing' }],
    [
      'a target that another link leads outside',
      { 'a/b/c/x': '', 'a/s': '->b/c', 'q/up': '->..', 'q/t': '->up/../../x' },
    ],
  ])('pack: refuses a link, when it has %s', async (_, files) => {
    await using folder = await temporaryFolder(files);
    await expect(walkFolder(folder.path, { signal })).rejects.toMatchObject({ code: 'FOLDER_LINK_OUTSIDE' });
  });

  test('pack: refuses a link, when only the file system shows that it leads outside', async () => {
    await using folder = await temporaryFolder({ 'main.py': '', 'a/b/up': '->../..', 'a/b/out': '->up/../x' });
    // As written it is "a/b/up/../x", followed it is beside the folder.
    await expect(walkFolder(folder.path, { signal })).rejects.toMatchObject({ code: 'FOLDER_LINK_OUTSIDE' });
  });

  test('pack: refuses a socket, when one is in the folder', async () => {
    await using folder = await temporaryFolder({ 'main.py': '' });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(folder.path, 's.sock'), resolve));
    try {
      await expect(walkFolder(folder.path, { signal })).rejects.toMatchObject({ code: 'FOLDER_FILE_TYPE' });
    } finally {
      server.close();
    }
  });

  test.each([
    [{ ...PACK_LIMITS, maxFiles: 1 }, 'more than 1 files'],
    [{ ...PACK_LIMITS, maxUnpackedBytes: 10 }, 'of files'],
    [{ ...PACK_LIMITS, maxPackedBytes: 100 }, 'as a zip'],
  ])('pack: refuses what is too large, when the limit is %o', async (limits, found) => {
    await using folder = await temporaryFolder({ 'main.py': 'app = 1\n', 'b.txt': 'some more text' });
    const packing = zipOf(folder.path, limits);
    await expect(packing).rejects.toMatchObject({ code: 'FOLDER_TOO_LARGE' });
    await expect(packing).rejects.toThrow(found);
    const detail = expect.stringMatching(/largest folders and files:\n +14 B +b\.txt\n[\s\S]*\.vmletignore:\n\/b\.txt/);
    await expect(packing).rejects.toMatchObject({ detail });
  });

  test('pack: names folders once, and those that are most of another in its place, when it tells what is large', () => {
    const files = [
      { path: 'node_modules/@s/big/dist/a.js', sizeBytes: 600 },
      { path: 'node_modules/@s/big/dist/b.js', sizeBytes: 500 },
      { path: 'node_modules/small/i.js', sizeBytes: 20 },
      { path: 'src/data/set.bin', sizeBytes: 800 },
      { path: 'src/a.js', sizeBytes: 10 },
      { path: 'b.js', sizeBytes: 5 },
      { path: 'empty', sizeBytes: 0 },
    ];
    expect(largestOf(files)).toEqual([
      { path: 'node_modules/@s/big/dist/', sizeBytes: 1100 },
      { path: 'src/data/', sizeBytes: 800 },
      { path: 'node_modules/small/', sizeBytes: 20 },
      { path: 'src/a.js', sizeBytes: 10 },
      { path: 'b.js', sizeBytes: 5 },
    ]);
  });

  test('pack: refuses a file, when it changes while it is packed', async () => {
    await using folder = await temporaryFolder({ 'main.py': 'app = 1\n' });
    const { files } = await walkFolder(folder.path, { signal });
    await truncate(join(folder.path, 'main.py'), 2);
    await expect(packFiles(files, { folder: folder.path, signal })).rejects.toMatchObject({ code: 'FOLDER_CHANGED' });
  });

  test('pack: refuses a folder, when it is absent, a file, or empty', async () => {
    await using folder = await temporaryFolder({ 'a/.env': '' });
    await expect(walkFolder(join(folder.path, 'no'), { signal })).rejects.toThrow('it does not exist');
    await expect(walkFolder(join(folder.path, 'a/.env'), { signal })).rejects.toThrow('it is not a folder');
    await expect(walkFolder(folder.path, { signal })).rejects.toMatchObject({ code: 'FOLDER_EMPTY' });
  });
});

describe('readZipEntries', () => {
  const read = (bytes: Buffer<ArrayBuffer>) => readZipEntries(bytes, { cachePath: '/cache/x.zip' });

  test('readZipEntries: reads what zipEntries wrote, when put into another zip', async () => {
    await using folder = await temporaryFolder({ 'main.py': 'app = 1\n', 'a/b.txt': 'abc '.repeat(1000) });
    const { bytes, fileHash } = await zipOf(folder.path);
    const entries = read(bytes);
    expect(entries.map((entry) => entry.path)).toEqual(['a/b.txt', 'main.py']);
    expect(zipEntries(entries, 'again.zip', { folder: '' }).fileHash).toBe(fileHash);
  });

  test('readZipEntries: takes links that stay inside, and refuses others', async () => {
    await using folder = await temporaryFolder({ 'bin/a': '->../lib/x.js', 'lib/x.js': '' });
    const { bytes, fileHash } = await zipOf(folder.path);
    expect(zipEntries(read(bytes), 'again.zip', { folder: '' }).fileHash).toBe(fileHash);
    for (const target of ['/./lib/x.js', '../../x.js.', '..........\0']) {
      const damaged = Buffer.from(bytes.toString('latin1').replace('../lib/x.js', target), 'latin1');
      expect(() => read(damaged)).toThrow(/the link "bin\/a"/);
    }
  });

  test('readZipEntries: refuses bytes, when they are cut short, no zip, or name a path outside', async () => {
    await using folder = await temporaryFolder({ 'aa/b.txt': 'abc' });
    const { bytes } = await zipOf(folder.path);
    for (const damaged of [
      Buffer.from('not a zip'),
      bytes.subarray(0, -1),
      bytes.subarray(30),
      Buffer.from(bytes.toString('latin1').replaceAll('aa/b.txt', '../b.txt'), 'latin1'),
      Buffer.from(bytes.toString('latin1').replaceAll('aa/b.txt', '/a/b.txt'), 'latin1'),
    ]) {
      expect(() => read(damaged)).toThrow(/^Cannot read the installed packages/);
    }
  });
});

const GOLDEN = '2ac46c9e2f1ca4650b9dab85dd86f7056096920ab95dc68a8fae83271db84952';
