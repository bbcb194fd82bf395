import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../testing.ts';
import { Changes } from './changes.ts';

const FILES = { 'a.js': '', 'lib/b.js': '', '.git/HEAD': '', 'node_modules/x/i.js': '', '.vmletignore': '*.log\n' };

test('Changes: tells what changes in a folder, in one that is new too, and in packages when they are installed', async () => {
  await using folder = await temporaryFolder(FILES);
  using changes = new Changes(folder.path);
  const after = async (change: () => Promise<unknown>) => {
    await changes.watch();
    const told = changes.changed;
    await change();
    return await told;
  };
  const at = (path: string) => join(folder.path, path);
  expect(await after(() => writeFile(at('lib/b.js'), 'x'))).toBe('lib/b.js');
  expect(await after(() => mkdir(at('new')))).toBe('new');
  expect(await after(() => writeFile(at('new/c.js'), 'x'))).toBe('new/c.js');
  expect(await after(() => rm(at('new'), { recursive: true }))).toMatch(/^new/);
  expect(await after(() => writeFile(at('node_modules/.package-lock.json'), '{}'))).toBe(
    'node_modules/.package-lock.json',
  );
  expect(await after(() => writeFile(at('.vmletignore'), ''))).toBe('.vmletignore');
});

test('Changes: says nothing of what is left out', async () => {
  await using folder = await temporaryFolder(FILES);
  using changes = new Changes(folder.path);
  await changes.watch();
  for (const path of ['.git/HEAD', 'x.log', 'node_modules/x/i.js', 'node_modules/y', 'a.js~']) {
    await writeFile(join(folder.path, path), 'x');
  }
  // Told in order: were one of those told, it would be this one's place.
  await writeFile(join(folder.path, 'a.js'), 'x');
  expect(await changes.changed).toBe('a.js');
});

test('Changes: looks at one file only, when it is named', async () => {
  await using folder = await temporaryFolder(FILES);
  using changes = new Changes(folder.path, 'a.js');
  await changes.watch();
  await writeFile(join(folder.path, 'b.js'), 'x');
  await writeFile(join(folder.path, 'a.js'), 'x');
  expect(await changes.changed).toBe('a.js');
});
