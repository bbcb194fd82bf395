import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readJsonIfExists, TEMPORARY_PREFIX, writeFileAtomic } from './files.ts';
import { makeWorkFolder } from './work-folder.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

/** The id of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('writeFileAtomic', () => {
  test('writeFileAtomic: writes, replaces, and leaves nothing beside', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'file');
    await writeFileAtomic(path, 'one', { mode: 0o600 });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await writeFileAtomic(path, Buffer.from('two'));
    expect(await readFile(path, 'utf8')).toBe('two');
    expect(await readdir(dir.path)).toEqual(['file']);
  });

  test('writeFileAtomic: leaves nothing, when it cannot take the name', async () => {
    await using dir = await makeDir();
    await mkdir(join(dir.path, 'folder'));
    await expect(writeFileAtomic(join(dir.path, 'folder'), 'x')).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(writeFileAtomic(join(dir.path, 'absent/file'), 'x')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(dir.path)).toEqual(['folder']);
  });

  test('writeFileAtomic: leaves the old file, when its process is killed while it writes', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'file');
    await writeFileAtomic(path, 'old');
    const script = `
      import { writeFileAtomic } from ${JSON.stringify(join(import.meta.dirname, 'files.ts'))};
      const data = 'new'.repeat(100_000_000);
      const writing = writeFileAtomic(${JSON.stringify(path)}, data);
      process.stdout.write('writing');
      await writing;`;
    const writer = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(writer.stdout, 'data');
    // Until the file is there: it is being written then, for 300 MB take a while.
    await expect
      .poll(async () => (await readdir(dir.path)).some((name) => name.startsWith(TEMPORARY_PREFIX)), { interval: 1 })
      .toBe(true);
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    expect(await readFile(path, 'utf8')).toBe('old');
  });
});

describe('readJsonIfExists', () => {
  test('readJsonIfExists: gives the value, undefined for no file, and the fault of a damaged one', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'a.json');
    expect(await readJsonIfExists(path)).toBeUndefined();
    await writeFile(path, '{"a":1}');
    expect(await readJsonIfExists(path)).toEqual({ a: 1 });
    await writeFile(path, '{"a"');
    await expect(readJsonIfExists(path)).rejects.toBeInstanceOf(SyntaxError);
    await expect(readJsonIfExists(dir.path)).rejects.toMatchObject({ code: 'EISDIR' });
  });

  test('readJsonIfExists: takes a damaged file for none, when it can be made again, and no other failure', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'a.json');
    for (const damaged of ['', '{"a"', 'x']) {
      await writeFile(path, damaged);
      expect(await readJsonIfExists(path, { rebuildable: true })).toBeUndefined();
    }
    await expect(readJsonIfExists(dir.path, { rebuildable: true })).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('makeWorkFolder', () => {
  test('makeWorkFolder: makes its parent and a folder of its own each time, and removes it', async () => {
    await using dir = await makeDir();
    const parent = join(dir.path, 'a/b');
    {
      await using first = await makeWorkFolder(parent, 'x');
      await using second = await makeWorkFolder(parent, 'x');
      expect(first.path).not.toBe(second.path);
      await writeFile(join(first.path, 'file'), 'x');
      expect(await readdir(parent)).toHaveLength(2);
    }
    expect(await readdir(parent)).toEqual([]);
  });

  test('makeWorkFolder: removes those of killed processes, and nothing else', async () => {
    await using dir = await makeDir();
    const kept = [`${TEMPORARY_PREFIX}1-x-abcdef`, 'image.erofs', `${TEMPORARY_PREFIX}other`];
    for (const name of [...kept, `${TEMPORARY_PREFIX}${await deadPid()}-x-abcdef`]) await mkdir(join(dir.path, name));
    {
      await using work = await makeWorkFolder(dir.path, 'y');
      expect(work.path).toContain(`${TEMPORARY_PREFIX}${process.pid}-y-`);
    }
    expect((await readdir(dir.path)).sort()).toEqual(kept.sort());
  });
});
