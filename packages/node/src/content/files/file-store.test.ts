import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtempDisposable, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { contentStoreCompliance, hashOf, sourceOf } from '../compliance.ts';
import { openFileStore } from './file-store.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

contentStoreCompliance('file store', async () => {
  const dir = await makeDir();
  const store = await openFileStore(dir.path);
  return {
    store,
    async corrupt(fileHash) {
      const path = join(dir.path, fileHash.slice(0, 2), fileHash);
      await chmod(path, 0o600);
      await using handle = await open(path, 'r+');
      await handle.write(Buffer.from([((await readFile(path))[3] ?? 0) ^ 1]), 0, 1, 3);
    },
    list: async () => (await filesIn(dir.path)).filter((name) => !/\.\d+$/.test(name)),
    [Symbol.asyncDispose]: () => dir.remove(),
  };
});

describe('openFileStore', () => {
  test('openFileStore: keeps a file read-only under its hash', async () => {
    await using dir = await makeDir();
    const store = await openFileStore(dir.path);
    const { fileHash } = await store.put(sourceOf('text'), { maxBytes: 9 });
    const path = join(dir.path, fileHash.slice(0, 2), fileHash);
    expect(await store.verifiedPath(fileHash)).toBe(path);
    expect((await stat(path)).mode & 0o777).toBe(0o444);
    expect(hashOf(await readFile(path))).toBe(fileHash);
  });

  test('verifiedPath: keeps the damaged bytes aside', async () => {
    await using dir = await makeDir();
    const store = await openFileStore(dir.path);
    const { fileHash } = await store.put(sourceOf('text'), { maxBytes: 9 });
    const path = join(dir.path, fileHash.slice(0, 2), fileHash);
    await chmod(path, 0o600);
    await using handle = await open(path, 'w');
    await handle.write('evil');
    await expect(store.verifiedPath(fileHash)).rejects.toMatchObject({
      message: `Cannot use the file '${fileHash}': its bytes hash to '${hashOf(Buffer.from('evil'))}', expected its name`,
    });
    const [aside = ''] = await readdir(join(dir.path, 'quarantine'));
    expect(aside.startsWith(fileHash)).toBe(true);
    expect(await readFile(join(dir.path, 'quarantine', aside), 'utf8')).toBe('evil');
  });

  test('sweepTemporary: removes what kill -9 of a writer left, and no blob was made', async () => {
    await using dir = await makeDir();
    const script = `
      import { openFileStore } from ${JSON.stringify(join(import.meta.dirname, 'file-store.ts'))};
      const store = await openFileStore(${JSON.stringify(dir.path)});
      await store.put((async function* () { yield Buffer.from('whole'); })(), { maxBytes: 9 });
      await store.put((async function* () {
        yield Buffer.alloc(100000);
        process.stdout.write('writing');
        process.stdin.resume();
        await new Promise(() => {});
      })(), { maxBytes: 1e9 });`;
    const writer = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(writer.stdout, 'data');
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    const whole = hashOf(Buffer.from('whole'));
    expect((await filesIn(dir.path)).sort()).toEqual([whole, expect.stringMatching(/^upload\..*\.part$/)]);
    await writeFile(
      join(dir.path, 'incoming', `upload.${process.pid}-0123456789ab.part`),
      'of a process number in use',
    );
    const store = await openFileStore(dir.path);
    expect(await store.sweepTemporary()).toBe(1);
    expect(await store.sweepTemporary()).toBe(0);
    expect(await filesIn(dir.path)).toEqual([whole]);
    expect(await store.has(whole)).toBe(true);
  });
});
