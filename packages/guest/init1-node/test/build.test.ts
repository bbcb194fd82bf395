import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildNodeLauncher } from '../build.ts';
import { temporaryFolder } from './harness.ts';

const kit = new URL('../kit.json', import.meta.url);

test('build: gives the same bytes each time, in a folder that need not be there, and nothing beside', async () => {
  const [one, two] = [join(await temporaryFolder(), 'a/b'), await temporaryFolder()];
  await buildNodeLauncher(one);
  await buildNodeLauncher(two);
  const { launcher } = JSON.parse(await readFile(kit, 'utf8')) as { launcher: { files: string[] } };
  expect((await readdir(one)).sort()).toEqual(launcher.files);
  for (const name of launcher.files) {
    const bytes = await readFile(join(one, name));
    expect((await readFile(join(two, name))).equals(bytes)).toBe(true);
    expect(bytes.includes(two)).toBe(false);
  }
});

test('build: can be aborted', async () => {
  const folder = await temporaryFolder();
  await expect(buildNodeLauncher(folder, { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
});
