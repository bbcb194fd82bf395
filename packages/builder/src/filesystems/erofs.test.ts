import { mkdir, mkdtempDisposable, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed } from '@vmlet/host';
import { expect, test } from 'vitest';
import { type ErofsOptions, makeErofs } from './erofs.ts';

const EROFS_MAGIC = 0xe0f5e1e2;
const OPTIONS: ErofsOptions = { compression: 'lz4', uuid: '00000000-0000-4000-8000-000000000001', allRoot: true };
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

async function fill(folder: string, timeSeconds: number): Promise<string> {
  await mkdir(join(folder, 'sub/deep'), { recursive: true });
  await writeFile(join(folder, 'sub/file'), 'text '.repeat(20_000));
  await writeFile(join(folder, 'empty'), '');
  await symlink('sub/file', join(folder, 'link'));
  for (const name of ['sub/file', 'empty', 'sub/deep', 'sub', '.'])
    await utimes(join(folder, name), timeSeconds, timeSeconds);
  return folder;
}

test.each(['none', 'lz4', 'lz4hc'] as const)(
  'makeErofs: gives the same bytes for the same folder, with %s',
  async (compression) => {
    await using dir = await makeDir();
    const folder = await fill(join(dir.path, 'tree'), 1000);
    for (const image of ['one', 'two'])
      await makeErofs(folder, join(dir.path, image), { ...OPTIONS, compression, fixedTime: 0 });
    const bytes = await readFile(join(dir.path, 'one'));
    expect(bytes.equals(await readFile(join(dir.path, 'two')))).toBe(true);
    expect(bytes.readUInt32LE(1024)).toBe(EROFS_MAGIC);
  },
);

test('makeErofs: keeps file times unless one is fixed, which a .pyc needs', async () => {
  await using dir = await makeDir();
  const trees = [await fill(join(dir.path, 'a'), 1000), await fill(join(dir.path, 'b'), 2000)];
  const imagesOf = async (options: ErofsOptions) =>
    Promise.all(
      trees.map(async (tree) => {
        await makeErofs(tree, `${tree}.img`, options);
        return readFile(`${tree}.img`);
      }),
    );
  const [keptA, keptB] = await imagesOf(OPTIONS);
  expect(keptA?.equals(keptB ?? Buffer.alloc(0))).toBe(false);
  const [fixedA, fixedB] = await imagesOf({ ...OPTIONS, fixedTime: 0 });
  expect(fixedA?.equals(fixedB ?? Buffer.alloc(0))).toBe(true);
});

test('makeErofs: fails with the tool’s words, for a folder that is not there', async () => {
  await using dir = await makeDir();
  const failure = makeErofs(join(dir.path, 'absent'), join(dir.path, 'image'), OPTIONS);
  await expect(failure).rejects.toBeInstanceOf(CommandFailed);
});
