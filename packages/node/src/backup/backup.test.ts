import { createWriteStream } from 'node:fs';
import { chmod, cp, mkdir, mkdtempDisposable, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { openFileStore } from '../content/index.ts';
import { openLedger } from '../ledger/index.ts';
import { bytesOf, fileHashOf, makeAuthor } from '../ledger/testing.ts';
import { openDatabase, openHome } from '../store/index.ts';
import { backUpHome, restoreHome } from './index.ts';

/** A home that is in use, with messages and their files. */
async function makeHome(dir: string) {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await openHome(dir));
  const database = stack.adopt(openDatabase(home.paths.database), (one) => void one.close());
  const content = await openFileStore(home.paths.content);
  const ledger = stack.use(await openLedger({ database, content, onListenerError: () => {} }));
  const author = makeAuthor();
  const publish = async (text: string) => {
    await content.put(bytesOf(text), { maxBytes: 1_000_000 });
    const message = await author.store(fileHashOf(text));
    const { status } = await ledger.accept(message);
    return { itemHash: message.item_hash, fileHash: fileHashOf(text), status };
  };
  const held = stack.move();
  return { home, content, ledger, author, publish, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

async function makeFolder() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-backup-'));
  return { path: dir.path, [Symbol.asyncDispose]: () => dir.remove() };
}

const nothingUnfinished = async (folder: string) =>
  expect((await readdir(folder)).filter((name) => name.includes('unfinished'))).toEqual([]);

describe('backup', () => {
  test.each(['copy', 'copy.tar'])('backup: has what a node in use had, when restored from %s', async (name) => {
    await using folder = await makeFolder();
    await using source = await makeHome(join(folder.path, 'home'));
    const first = await source.publish('first file');
    await writeFile(source.home.paths.blockList, '# none\n');
    await mkdir(join(source.home.dir, 'logs', first.itemHash), { recursive: true });
    await writeFile(join(source.home.dir, 'logs', first.itemHash, 'program.ndjson'), '{}\n');
    await mkdir(source.home.paths.snapshots);
    await writeFile(join(source.home.paths.snapshots, 'memory'), 'can be made again');
    const target = join(folder.path, name);
    const made = await backUpHome({ home: source.home.dir, target });
    expect(made).toMatchObject({ target, missing: [], files: 4, linked: 1 });
    const later = await source.publish('after the backup');

    const restored = await restoreHome({ source: target, home: join(folder.path, 'second') });
    expect(restored).toMatchObject({ files: 4, missing: [], sizeBytes: made.sizeBytes });
    await using second = await makeHome(restored.home);
    expect(second.ledger.get(first.itemHash)?.status).toBe('processed');
    expect(second.ledger.get(later.itemHash)).toBeUndefined();
    expect(await readFile(await second.content.verifiedPath(first.fileHash), 'utf8')).toBe('first file');
    expect(await readFile(second.home.paths.blockList, 'utf8')).toBe('# none\n');
    expect(await readdir(second.home.dir)).not.toContain('snapshots');
    expect(second.home.id).not.toBe(source.home.id);
    // Both go on, each by itself.
    expect((await second.publish('only in the second')).status).toBe('processed');
    expect(source.ledger.storesOf(source.author.signer.address)).toHaveLength(2);
    await nothingUnfinished(folder.path);
  });

  test('backup: names what is not there, when a file of the home was lost', async () => {
    await using folder = await makeFolder();
    await using source = await makeHome(join(folder.path, 'home'));
    const { fileHash } = await source.publish('to be lost');
    await source.publish('kept');
    await source.content.remove(fileHash);
    const target = join(folder.path, 'copy');
    expect((await backUpHome({ home: source.home.dir, target })).missing).toEqual([fileHash]);
    const home = join(folder.path, 'second');
    expect((await restoreHome({ source: target, home })).missing).toEqual([fileHash]);
  });

  test('backup: is refused, when something has that name, it is in the home, or there is no home', async () => {
    await using folder = await makeFolder();
    await using source = await makeHome(join(folder.path, 'home'));
    const home = source.home.dir;
    await mkdir(join(folder.path, 'taken'));
    const refused = (code: string) => expect.objectContaining({ code });
    await expect(backUpHome({ home, target: join(folder.path, 'taken') })).rejects.toEqual(
      refused('BACKUP_TARGET_TAKEN'),
    );
    await expect(backUpHome({ home, target: join(home, 'copy') })).rejects.toEqual(refused('BACKUP_TARGET_TAKEN'));
    const none = join(folder.path, 'none');
    await expect(backUpHome({ home: none, target: join(folder.path, 'copy') })).rejects.toEqual(
      refused('BACKUP_SOURCE_UNFIT'),
    );
    const loop = join(folder.path, 'loop');
    await symlink(loop, loop);
    await expect(backUpHome({ home: loop, target: join(folder.path, 'copy') })).rejects.toThrow('ELOOP');
    await expect(restoreHome({ source: loop, home: join(folder.path, 'fresh') })).rejects.toThrow('ELOOP');
    await nothingUnfinished(folder.path);
  });

  test('backup: leaves nothing of its own, when it is interrupted, and begins anew over what a kill has left', async () => {
    await using folder = await makeFolder();
    await using source = await makeHome(join(folder.path, 'home'));
    const { itemHash } = await source.publish('a file');
    const target = join(folder.path, 'copy');
    const controller = new AbortController();
    const interrupted = new Error('interrupted');
    const onProgress = (step: string) => {
      if (step === 'Copying files') controller.abort(interrupted);
    };
    const options = { home: source.home.dir, target, signal: controller.signal, onProgress };
    await source.publish('another file');
    await expect(backUpHome(options)).rejects.toBe(interrupted);
    expect(await readdir(folder.path)).toEqual(['home']);
    await mkdir(`${target}.vmlet-unfinished/content`, { recursive: true });
    await writeFile(`${target}.vmlet-unfinished/node.db`, 'half of one');
    await backUpHome({ home: source.home.dir, target });
    const { home } = await restoreHome({ source: target, home: join(folder.path, 'second') });
    await using second = await makeHome(home);
    expect(second.ledger.get(itemHash)?.status).toBe('processed');
  });
});

describe('restore', () => {
  test('restore: refuses a home with anything in it, and takes an empty folder', async () => {
    await using folder = await makeFolder();
    await using source = await makeHome(join(folder.path, 'home'));
    const target = join(folder.path, 'copy');
    await backUpHome({ home: source.home.dir, target });
    const taken = expect.objectContaining({ code: 'RESTORE_TARGET_TAKEN' });
    await expect(restoreHome({ source: target, home: source.home.dir })).rejects.toEqual(taken);
    await writeFile(join(folder.path, 'file'), '');
    await expect(restoreHome({ source: target, home: join(folder.path, 'file') })).rejects.toEqual(taken);
    await mkdir(join(folder.path, 'empty'));
    await restoreHome({ source: target, home: join(folder.path, 'empty') });
  });

  test('restore: makes no home, when a backup is damaged in any way', async () => {
    await using folder = await makeFolder();
    await using source = await makeHome(join(folder.path, 'home'));
    const { fileHash } = await source.publish('a file');
    await writeFile(source.home.paths.blockList, '# none\n');
    const good = join(folder.path, 'good');
    await backUpHome({ home: source.home.dir, target: good });
    const stored = join('content', fileHash.slice(0, 2), fileHash);
    const change = async (path: string, text: string) => {
      await rm(path, { force: true });
      await writeFile(path, text);
    };
    const damages: Record<string, (copy: string) => Promise<unknown>> = {
      'no manifest': (copy) => rm(join(copy, 'backup.json')),
      'half a manifest': (copy) => change(join(copy, 'backup.json'), '{"format":1,'),
      'a newer format': (copy) => change(join(copy, 'backup.json'), '{"format":2}'),
      'other bytes of a file': (copy) => change(join(copy, stored), 'b file'),
      'a file less': (copy) => rm(join(copy, stored), { force: true }),
      'other bytes of a list': (copy) => change(join(copy, 'block-list'), '# some\n'),
      'a list less': (copy) => rm(join(copy, 'block-list')),
      'a file more': (copy) => change(join(copy, 'more'), 'more'),
      'a marker of a home': (copy) => change(join(copy, 'home.json'), '{"format":1,"id":"00000000"}'),
      'a name that is none': (copy) => change(join(copy, 'a\nb'), ''),
      'no database': (copy) => rm(join(copy, 'node.db')),
      'another database': (copy) => change(join(copy, 'node.db'), 'SQLite format 3\0'),
      'a link in place of a file': async (copy) => {
        await rm(join(copy, 'block-list'));
        await symlink('/etc/hostname', join(copy, 'block-list'));
      },
    };
    const home = join(folder.path, 'second');
    for (const [what, damage] of Object.entries(damages)) {
      const copy = join(folder.path, 'damaged');
      await cp(good, copy, { recursive: true });
      await chmod(join(copy, stored), 0o600);
      await damage(copy);
      await expect(restoreHome({ source: copy, home }), what).rejects.toEqual(
        expect.objectContaining({ code: 'BACKUP_DAMAGED' }),
      );
      expect(await readdir(folder.path), what).not.toContain('second');
      await rm(copy, { recursive: true });
    }
    await nothingUnfinished(folder.path);
    await restoreHome({ source: good, home });
  });

  test('restore: writes nothing outside of the home, when a tar is hostile or cut', async () => {
    await using folder = await makeFolder();
    await using source = await makeHome(join(folder.path, 'home'));
    await source.publish('a file');
    const good = join(folder.path, 'good.tar');
    await backUpHome({ home: source.home.dir, target: good });
    const home = join(folder.path, 'second');
    const refusals: string[] = [];
    const attempt = async (path: string) => {
      const error: unknown = await restoreHome({ source: path, home }).catch((one: unknown) => one);
      refusals.push(error instanceof Error && 'code' in error ? String(error.code) : String(error));
      expect(await readdir(folder.path)).not.toContain('second');
    };
    const hostile = [
      { name: '../outside', type: 'file' as const },
      { name: '/tmp/vmlet-outside', type: 'file' as const },
      { name: 'a/../../outside', type: 'file' as const },
      { name: 'block-list', type: 'symlink' as const, linkname: '/etc/hostname' },
      { name: 'node.db', type: 'link' as const, linkname: '../home/node.db' },
      { name: 'fifo', type: 'fifo' as const },
      { name: 'snapshots/memory', type: 'file' as const },
    ];
    for (const header of hostile) {
      const tar = pack();
      const path = join(folder.path, 'hostile.tar');
      tar.entry(header, header.type === 'file' ? 'text' : '');
      tar.finalize();
      await pipeline(tar, createWriteStream(path));
      await attempt(path);
    }
    const bytes = await readFile(good);
    await writeFile(join(folder.path, 'cut.tar'), bytes.subarray(0, 2000));
    await attempt(join(folder.path, 'cut.tar'));
    await writeFile(join(folder.path, 'text.tar'), 'no tar at all');
    await attempt(join(folder.path, 'text.tar'));
    await attempt(join(folder.path, 'absent'));
    expect(new Set(refusals)).toEqual(new Set(['BACKUP_DAMAGED', 'BACKUP_SOURCE_UNFIT']));
    expect((await readdir(folder.path)).toSorted()).toEqual(['cut.tar', 'good.tar', 'home', 'hostile.tar', 'text.tar']);
  });
});
