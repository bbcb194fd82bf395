import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { COPY, RecordDecoder } from '@vmlet/guest-protocol/session';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../testing.ts';
import { type Entry, encodeEntry } from './entries.ts';
import { Receiver, staysInside } from './receive.ts';
import { sendRecords } from './send.ts';

type Said = Partial<Entry> & { type: Entry['type']; bytes?: string };
const folder = (path: string, mode = 0o755): Said => ({ type: 'folder', path, mode });
const file = (path: string, bytes = '', mode = 0o644): Said => ({ type: 'file', path, mode, bytes });
const link = (path: string, target: string): Said => ({ type: 'link', path, target });

/** What a machine sends: entries, each followed by its bytes. */
function* records(said: readonly Said[]) {
  for (const { bytes, ...entry } of said) {
    const [head] = new RecordDecoder().push(encodeEntry({ path: '', mode: 0, target: '', ...entry }));
    if (head) yield head;
    if (bytes) yield { type: COPY.DATA, payload: Buffer.from(bytes) };
  }
  yield { type: COPY.DONE, payload: Buffer.alloc(0) };
}

async function receive(target: string, said: readonly Said[], limits?: { bytes: number; entries: number }) {
  await using receiver = new Receiver({ target, name: 'name', ...(limits ? { limits } : {}) });
  for (const record of records(said)) {
    if (await receiver.take(record)) return receiver;
  }
  throw new Error('it did not end');
}

describe('Receiver', () => {
  test('receive: writes files, folders and links with their permissions, and no more than those', async () => {
    await using dir = await temporaryFolder();
    const { copied } = await receive(join(dir.path, 'new'), [
      folder('', 0o500),
      folder('a'),
      file('a/run', 'x', 0o6755),
      link('a/up', '../a/run'),
      link('l', 'a'),
    ]);
    expect(copied).toEqual({ files: 1, folders: 2, links: 2, bytes: 1 });
    expect((await stat(join(dir.path, 'new'))).mode & 0o7777).toBe(0o700);
    expect((await stat(join(dir.path, 'new/a/run'))).mode & 0o7777).toBe(0o755);
    expect(await readlink(join(dir.path, 'new/a/up'))).toBe('../a/run');
    await receive(join(dir.path), [file('', 'alone')]);
    expect(await readFile(join(dir.path, 'name'), 'utf8')).toBe('alone');
  });

  test('receive: puts new files in the place of old ones, whatever those are', async () => {
    await using dir = await temporaryFolder({ 'name/file': 'old', 'name/link': '->../outside', outside: 'mine' });
    await chmod(join(dir.path, 'name/file'), 0o400);
    await receive(dir.path, [folder(''), file('file', 'new'), file('link', 'new')]);
    expect(await readFile(join(dir.path, 'name/file'), 'utf8')).toBe('new');
    expect(await readFile(join(dir.path, 'name/link'), 'utf8')).toBe('new');
    expect(await readFile(join(dir.path, 'outside'), 'utf8')).toBe('mine');
  });

  test.each<[string, Said[]]>([
    ['a path upwards', [folder(''), file('../outside')]],
    ['a path upwards in the middle', [folder(''), folder('a'), file('a/../../outside')]],
    ['a path from the root', [folder(''), file('/outside')]],
    ['a path of no name', [folder(''), folder('.'), file('./outside')]],
    ['an empty name', [folder(''), file('a//b')]],
    ['a file in a folder that was not sent', [folder(''), file('way/outside')]],
    ['a file through a link of its own', [folder(''), link('way', '..'), file('way/outside')]],
    ['a folder in the place of a link that was there', [folder(''), folder('there'), file('there/outside')]],
    ['a link as the copy itself', [link('', '..'), file('outside')]],
    ['a second copy', [folder(''), folder(''), file('outside')]],
    ['a folder below a file', [file(''), folder('a'), file('a/outside')]],
    ['a NUL in a path', [folder(''), file('a\0b')]],
    ['a path that is too long', [folder(''), file('x/'.repeat(3000))]],
  ])('receive: refuses %s, and writes nothing outside', async (_name, said) => {
    await using dir = await temporaryFolder({ 'target/name/there': '->../..' });
    await expect(receive(join(dir.path, 'target'), said)).rejects.toMatchObject({
      code: expect.stringMatching(/^COPY_(REFUSED|FAILED)$/),
    });
    expect(await readdir(dir.path)).toEqual(['target']);
    expect(await readdir(join(dir.path, 'target'))).toEqual(['name']);
  });

  test('receive: leaves out links that lead out, and says which', async () => {
    await using dir = await temporaryFolder();
    const targets = ['/etc/passwd', '..', '../..', 'a/../../x', 'a/..', '../name', ''];
    const said = targets.map((target, index) => link(`l${index}`, target));
    const { leftOut, copied } = await receive(dir.path, [folder(''), folder('a'), ...said, link('a/ok', '../b')]);
    expect(leftOut).toEqual(targets.map((_, index) => `l${index}`));
    expect(copied.links).toBe(1);
    expect((await readdir(join(dir.path, 'name'))).sort()).toEqual(['a']);
  });

  test('receive: takes no more entries and bytes than it may', async () => {
    await using dir = await temporaryFolder();
    const limits = { bytes: 10, entries: 3 };
    const many = [folder(''), file('a'), file('b'), file('c')];
    await expect(receive(dir.path, many, limits)).rejects.toMatchObject({ code: 'COPY_REFUSED' });
    await expect(receive(join(dir.path, 'x'), [file('', 'x'.repeat(11))], limits)).rejects.toMatchObject({
      code: 'COPY_REFUSED',
    });
    await receive(dir.path, [folder(''), file('a', '12345'), file('b', '67890')], limits);
  });

  test('receive: refuses bytes of no file, names that are no UTF-8, unknown records, and an end before all', async () => {
    await using dir = await temporaryFolder();
    for (const record of [
      { type: COPY.DATA, payload: Buffer.from('x') },
      { type: COPY.FILE, payload: Buffer.from('0000ff', 'hex') },
      { type: COPY.FILE, payload: Buffer.from('00', 'hex') },
      { type: COPY.LINK, payload: Buffer.from('000061', 'hex') },
      { type: 99, payload: Buffer.alloc(0) },
      { type: COPY.DONE, payload: Buffer.alloc(0) },
    ]) {
      await using receiver = new Receiver({ target: join(dir.path, 'x'), name: 'x' });
      await expect(receiver.take(record)).rejects.toMatchObject({ code: 'COPY_REFUSED' });
    }
    await using failed = new Receiver({ target: dir.path, name: 'x' });
    await expect(failed.take({ type: COPY.FAILED, payload: Buffer.from('\x02/no') })).rejects.toMatchObject({
      code: 'COPY_FAILED',
      message: expect.stringContaining('Cannot copy "/no": no such file or directory'),
    });
  });

  test('receive: writes nothing outside of its target, for 3000 hostile copies, seeded', async () => {
    let seed = 0x7f4a7c15;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const names = ['a', 'b', '..', '.', '', 'there', 'a/b', 'a/..', '../x', '/x', 'there/x', 'a/there/x', '../../x'];
    const pick = () => names[random(names.length)] ?? 'a';
    await using dir = await temporaryFolder({
      'deep/target/name/there': '->../../..',
      'deep/target/name/a/there': '->/',
    });
    const outside = async () => [await readdir(dir.path), await readdir(join(dir.path, 'deep'))].flat();
    const before = await outside();
    const rootBefore = await readdir('/');
    let written = 0;
    for (let round = 0; round < 3000; round += 1) {
      const said: Said[] = [folder('')];
      for (let count = random(6); count >= 0; count -= 1) {
        const path = random(2) ? pick() : `${pick()}/${pick()}`;
        said.push([folder(path), file(path, 'evil'), link(path, pick())][random(3)] ?? folder(''));
      }
      const done = await receive(join(dir.path, 'deep/target'), said).catch(() => undefined);
      if (done) written += 1;
    }
    expect(written).toBeGreaterThan(20);
    expect(await outside()).toEqual(before);
    expect(await readdir('/')).toEqual(rootBefore);
  });
});

test('staysInside: counts how far up a link leads', () => {
  expect(['x', './x', 'x//y', 'x/.'].every((target) => staysInside('a', target))).toBe(true);
  expect(staysInside('a/b', '..')).toBe(true);
  expect(staysInside('a/b/c', '../../x')).toBe(true);
  expect(['..', '../x', '/x', 'x/../y', ''].some((target) => staysInside('a', target))).toBe(false);
  expect(staysInside('a/b', '../..')).toBe(false);
});

test('sendRecords: sends what receive writes, the same again', async () => {
  await using dir = await temporaryFolder({
    'from/a/file': 'x'.repeat(100_000),
    'from/run': '#!',
    'from/l': '->a/file',
  });
  await chmod(join(dir.path, 'from/run'), 0o755);
  await mkdir(join(dir.path, 'from/empty'));
  const copied = { files: 0, folders: 0, links: 0, bytes: 0 };
  const decoder = new RecordDecoder();
  await using receiver = new Receiver({ target: join(dir.path, 'to'), name: 'x' });
  for await (const bytes of sendRecords(join(dir.path, 'from'), copied)) {
    for (const record of decoder.push(bytes)) await receiver.take(record);
  }
  expect(receiver.copied).toEqual(copied);
  expect(copied).toEqual({ files: 2, folders: 3, links: 1, bytes: 100_002 });
  expect(await readFile(join(dir.path, 'to/l'), 'utf8')).toBe('x'.repeat(100_000));
  expect((await lstat(join(dir.path, 'to/run'))).mode & 0o777).toBe(0o755);
});

test('sendRecords: follows a link that is named itself, and says what cannot be read', async () => {
  await using dir = await temporaryFolder({ real: 'text' });
  await symlink('real', join(dir.path, 'link'));
  const copied = { files: 0, folders: 0, links: 0, bytes: 0 };
  await Array.fromAsync(sendRecords(join(dir.path, 'link'), copied));
  expect(copied).toMatchObject({ files: 1, links: 0, bytes: 4 });
  await expect(Array.fromAsync(sendRecords(join(dir.path, 'no'), copied))).rejects.toMatchObject({
    code: 'COPY_FAILED',
  });
  await writeFile(join(dir.path, 'x'), '');
  await expect(Array.fromAsync(sendRecords('/dev/null', copied))).rejects.toMatchObject({ code: 'COPY_FAILED' });
});
