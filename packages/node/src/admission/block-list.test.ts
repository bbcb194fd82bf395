import { mkdtempDisposable, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BlockList } from './block-list.ts';

const EVM = '0xB68B9D4f3771c246233823ed1D3Add451055F9Ef';
const SOL = '5SwCeHbZ9oY3556YFBEhPTHyy9t4yse26v7MUyGm2bHS';
const HASH = 'a'.repeat(64);

async function setUp(text?: string) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const path = join(dir.path, 'block-list');
  if (text !== undefined) await writeFile(path, text);
  return { path, [Symbol.asyncDispose]: () => dir.remove() };
}

test('block list: knows addresses and hashes, an EVM address in any case', async () => {
  await using it = await setUp(`# who is out\n\n${EVM}  # spam # twice\r\n${SOL}\n  ${HASH}#\n`);
  const list = await BlockList.open(it);
  expect(list.entries).toEqual([
    { what: EVM, reason: 'spam # twice' },
    { what: SOL, reason: '' },
    { what: HASH, reason: '' },
  ]);
  expect(list.find([undefined, 'b'.repeat(64), EVM.toLowerCase()])).toBe(EVM.toLowerCase());
  expect(list.find([SOL.toLowerCase(), HASH.toUpperCase()])).toBeUndefined();
});

test('block list: adds and removes entries in its file, tells of it, and keeps what was added by hand', async () => {
  await using it = await setUp();
  const list = await BlockList.open(it);
  let changes = 0;
  const unsubscribe = list.subscribe(() => changes++);
  await list.add({ what: EVM, reason: 'mines\ncoins' });
  await writeFile(it.path, `${await readFile(it.path, 'utf8')}${HASH}\n`);
  await list.add({ what: EVM.toLowerCase(), reason: 'again' });
  expect(list.entries.map(({ what }) => what)).toEqual([HASH, EVM.toLowerCase()]);
  expect(await readFile(it.path, 'utf8')).toBe(`${HASH}\n${EVM.toLowerCase()} # again\n`);
  expect((await stat(it.path)).mode & 0o777).toBe(0o600);
  expect(await list.remove(EVM)).toBe(true);
  expect(await list.remove(EVM)).toBe(false);
  expect(list.find([EVM])).toBeUndefined();
  expect(changes).toBe(4);
  unsubscribe();
  await Promise.all([SOL, EVM].map((what) => list.add({ what, reason: '' })));
  expect((await BlockList.open(it)).entries).toHaveLength(3);
  expect(changes).toBe(4);
});

test('block list: refuses what is no entry, and stays as it was when its file is damaged', async () => {
  await using it = await setUp(`${HASH}\n`);
  const list = await BlockList.open(it);
  for (const what of ['', 'two words', 'a#b', 'x\n', 'é', 'x'.repeat(129)]) {
    await expect(list.add({ what, reason: '' })).rejects.toMatchObject({ code: 'BLOCK_ENTRY_MALFORMED' });
  }
  await writeFile(it.path, 'two words\n');
  await expect(list.reload()).rejects.toMatchObject({ code: 'BLOCK_LIST_UNREADABLE' });
  await expect(list.add({ what: EVM, reason: '' })).rejects.toMatchObject({ code: 'BLOCK_LIST_UNREADABLE' });
  expect(list.find([HASH])).toBe(HASH);
  await writeFile(it.path, `${SOL}\n`);
  await list.reload();
  expect(list.entries).toEqual([{ what: SOL, reason: '' }]);
  await expect(BlockList.open({ path: '/' })).rejects.toMatchObject({ code: 'BLOCK_LIST_UNREADABLE' });
});
