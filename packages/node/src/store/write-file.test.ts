import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { stageFile, writeFileAtomic } from './write-file.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex') as FileHash;

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

describe('stageFile', () => {
  const options = (dir: string) => ({ temporaryDir: dir, name: 'blob', mode: 0o444 });

  test('stageFile: has no final name, until committed', async () => {
    await using dir = await makeDir();
    const target = join(dir.path, 'aa', 'blob');
    await using staged = await stageFile(chunks('hel', 'lo'), options(dir.path));
    expect(staged).toMatchObject({ fileHash: sha256('hello'), sizeBytes: 5 });
    expect(await readdir(dir.path)).toEqual([expect.stringMatching(/^blob\.\d+-[0-9a-f]{12}\.part$/)]);
    await staged.commit(target);
    expect(await readdir(dir.path)).toEqual(['aa']);
    expect(await readFile(target, 'utf8')).toBe('hello');
    expect((await stat(target)).mode & 0o777).toBe(0o444);
  });

  test('stageFile: removes its file, when disposed of before the commit', async () => {
    await using dir = await makeDir();
    {
      await using _staged = await stageFile(chunks('x'), options(dir.path));
    }
    expect(await readdir(dir.path)).toEqual([]);
  });

  test('stageFile: leaves nothing, when the bytes are too many, of another hash, or end in an error', async () => {
    await using dir = await makeDir();
    const failing = async function* () {
      yield Buffer.from('part');
      throw new Error('cut');
    };
    await expect(stageFile(chunks('12', '34'), { ...options(dir.path), maxBytes: 3 })).rejects.toMatchObject({
      code: 'CONTENT_TOO_LARGE',
    });
    await expect(stageFile(chunks('a'), { ...options(dir.path), expected: sha256('b') })).rejects.toMatchObject({
      code: 'CONTENT_HASH_MISMATCH',
    });
    await expect(stageFile(failing(), options(dir.path))).rejects.toThrow('cut');
    expect(await readdir(dir.path)).toEqual([]);
  });

  test('stageFile: ends at once and leaves nothing, when aborted while its source hangs', async () => {
    await using dir = await makeDir();
    const abort = new AbortController();
    const hanging = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first');
      abort.abort(new Error('enough'));
      await new Promise(() => {});
    };
    await expect(stageFile(hanging(), { ...options(dir.path), signal: abort.signal })).rejects.toThrow('enough');
    expect(await readdir(dir.path)).toEqual([]);
  });

  test('stageFile: names the folder in its error, when that does not exist', async () => {
    await using dir = await makeDir();
    await expect(stageFile(chunks('x'), options(join(dir.path, 'absent')))).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: "Cannot store 'blob': ENOENT, expected a writable folder",
    });
  });

  test('stageFile: is STORAGE_FULL and leaves nothing, when the disk has no space', async (context) => {
    await using dir = await makeDir();
    const script = `
      import { readdirSync } from 'node:fs';
      import { stageFile } from ${JSON.stringify(join(import.meta.dirname, 'write-file.ts'))};
      const source = (async function* () { for (let i = 0; i < 64; i++) yield Buffer.alloc(4096, i); })();
      const options = { temporaryDir: ${JSON.stringify(dir.path)}, name: 'blob', mode: 0o444 };
      const { code, entry } = await stageFile(source, options).catch((error) => error);
      console.log(JSON.stringify([code, entry?.status, readdirSync(options.temporaryDir)]));`;
    // A file system of 64 KiB in a mount namespace of its own.
    const mount = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" --input-type=module -e "$3"';
    const run = spawnSync('unshare', ['-rm', 'sh', '-c', mount, 'sh', dir.path, process.execPath, script]);
    context.skip(
      /unshare|mount:/.test(String(run.stderr)) || run.error !== undefined,
      'mount namespaces are not allowed here',
    );
    expect(String(run.stdout)).toBe('["STORAGE_FULL",507,[]]\n');
  });
});

describe('writeFileAtomic', () => {
  test('writeFileAtomic: replaces what is there', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'file');
    for (const text of ['one', 'two']) {
      expect(await writeFileAtomic(path, { bytes: Buffer.from(text), mode: 0o600 })).toBe(true);
    }
    expect(await readFile(path, 'utf8')).toBe('two');
    expect(await readdir(dir.path)).toEqual(['file']);
  });

  test('writeFileAtomic: keeps what is there and says so, when exclusive', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'file');
    const write = (text: string) => writeFileAtomic(path, { bytes: Buffer.from(text), mode: 0o600, exclusive: true });
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map(write));
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(await readFile(path, 'utf8')).toBe(['a', 'b', 'c', 'd'][answers.indexOf(true)]);
    expect(await readdir(dir.path)).toEqual(['file']);
  });
});
