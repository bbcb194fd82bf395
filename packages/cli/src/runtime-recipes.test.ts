import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli, temporaryFolder } from './testing.ts';

test('vmlet runtime new: writes a recipe and its schema, and leaves alone what is there', async () => {
  await using folder = await temporaryFolder();
  const cwd = folder.path;
  const written = await runCli(['runtime', 'new', 'runtimes/mine', '--kind', 'node'], { cwd });
  const recipe = join(cwd, 'runtimes/mine/recipe.yaml');
  expect(written).toMatchObject({ exitCode: 0, stdout: `${recipe}\n` });
  expect(written.stderr).toContain('vmlet runtime build ./runtimes/mine');
  expect(await readFile(recipe, 'utf8')).toContain('\nname: mine\n');
  const { stdout } = await runCli(['runtime', 'schema']);
  expect(await readFile(join(cwd, 'runtimes/mine/recipe.schema.json'), 'utf8')).toBe(stdout);

  await writeFile(recipe, 'mine');
  const again = await runCli(['runtime', 'new', 'runtimes/mine', '--json'], { cwd });
  expect(again.exitCode).toBe(7);
  expect(JSON.parse(again.stderr).error).toMatchObject({
    code: 'RECIPE_NOT_WRITTEN',
    cause: expect.stringContaining(`"${recipe}" is there already`),
  });
  expect(await readFile(recipe, 'utf8')).toBe('mine');
});

test('vmlet runtime new: refuses what cannot be the name of a runtime, and a kind that there is not', async () => {
  await using folder = await temporaryFolder();
  const refused = await runCli(['runtime', 'new', 'Mine'], { cwd: folder.path });
  expect(refused.exitCode).toBe(7);
  expect(refused.stderr).toContain('"Mine" is no name of a runtime');
  expect((await runCli(['runtime', 'new', 'mine', '--kind', 'perl'], { cwd: folder.path })).exitCode).toBe(2);
});

test('vmlet runtime schema: prints the schema of recipes, as JSON in any case', async () => {
  const plain = JSON.parse((await runCli(['runtime', 'schema'])).stdout);
  expect(plain).toMatchObject({ title: 'Recipe of a vmlet runtime', properties: { packages: { type: 'array' } } });
  expect(JSON.parse((await runCli(['runtime', 'schema', '--json'])).stdout)).toEqual(plain);
});

test('vmlet runtime build: shows each fault of a recipe in its line, when it is wrong', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'recipe.yaml');
  const env = { VMLET_CACHE: join(folder.path, 'cache') };
  const build = () => runCli(['runtime', 'build', '.'], { cwd: folder.path, env });
  await writeFile(path, 'format: 1\nname: mine\nsuite: 3.10\npakages: []\n');
  const many = await build();
  expect(many.exitCode).toBe(7);
  expect(many.stderr.split('\n')).toEqual([
    `  | ${path}:1:1: "distribution": expected text, found nothing`,
    '  | > 1 | format: 1',
    '  |     | ^',
    '  |   2 | name: mine',
    '  | ',
    `  | ${path}:3:8: "suite": expected text, found 3.10: write "3.10" in quotes`,
    '  |   2 | name: mine',
    '  | > 3 | suite: 3.10',
    '  |     |        ^',
    '  |   4 | pakages: []',
    '  | ',
    `  | ${path}:4:1: "pakages": unknown member, did you mean "packages"?`,
    '  |   3 | suite: 3.10',
    '  | > 4 | pakages: []',
    '  |     | ^',
    '  |   5 |',
    'error: Cannot use the recipe: 3 faults in it, expected none',
    '  next: Correct the recipe of the runtime',
    '',
  ]);
  await writeFile(path, 'format: 1\nname: mine\nextends: ./absent\n');
  const one = await build();
  expect(one.stderr).toMatch(/^ {2}\| {3}2 \| name: mine\n {2}\| > 3 \| extends: \.\/absent\n {2}\| {5}\| {10}\^\n/);
  expect(one.stderr).toContain(`error: ${path}:3:10: "extends": expected a folder with "recipe.yaml", found none at`);
});
