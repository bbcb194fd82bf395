import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readRecipe } from '../recipe.ts';
import { starterRecipe } from './starter.ts';

const OFFICIAL = join(import.meta.dirname, '../../../../runtimes');

test.each([
  [
    'python',
    { packages: expect.arrayContaining(['python3', 'python3-yaml']), interpreters: { python: '/usr/bin/python3' } },
  ],
  ['node', { packages: expect.arrayContaining(['jq']), interpreters: { node: expect.anything() } }],
  ['minimal', { variant: 'extract', packages: ['busybox-static', 'ca-certificates', 'netbase'] }],
] as const)('starterRecipe: is a recipe, and stays one with what is commented out: %s', async (kind, expected) => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const path = join(folder.path, 'recipe.yaml');
  const text = starterRecipe('mine', kind);
  await writeFile(path, text);
  const { recipe } = await readRecipe(path, { official: OFFICIAL });
  expect(recipe).toMatchObject({ name: 'mine', environment: { GREETING: 'Hello from mine' }, ...expected });

  await writeFile(
    path,
    text.replace(/^# (?=\w+:| {2})/gm, '').replace(/^(yaml-language|Build it|Deploy on).*\n/gm, ''),
  );
  const whole = await readRecipe(path, { official: OFFICIAL });
  expect(whole.recipe.filesystem).toEqual({ format: 'squashfs', compression: 'zstd', maxSizeMiB: 512 });
  expect(whole.recipe.user).toBe(kind === 'minimal' ? undefined : 'app');
});
