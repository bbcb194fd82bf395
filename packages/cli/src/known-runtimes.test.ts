import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRecipe } from '@vmlet/builder/recipe';
import { resolvePaths } from '@vmlet/host';
import { describe, expect, test } from 'vitest';
import { findOfficial } from './publish/official.ts';
import { type CliResult, runCli, temporaryFolder } from './testing.ts';
import { WELL_KNOWN_RUNTIMES } from './well-known-runtimes.ts';

const { cache } = resolvePaths();
const OFFICIAL = new URL('../../../runtimes/debian-12-python/recipe.yaml', import.meta.url);

/** `vmlet runtime` without a node. */
async function runtime(args: string[], cwd?: string): Promise<CliResult> {
  const env = { VMLET_HOME: '/nonexistent', VMLET_CACHE: cache };
  return await runCli(['runtime', ...args], { env, ...(cwd === undefined ? {} : { cwd }) });
}

describe('vmlet runtime', () => {
  test('runtime ls: lists official recipes and what is built of them, without a node', async () => {
    const { exitCode, stdout } = await runtime(['ls']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^NAME +VERSION +STATE +SIZE +FILE\n/);
    expect(stdout).toMatch(/^debian-12-python +1 +built +[\d.]+ MB +[0-9a-f]{12}$/m);
    const { runtimes } = JSON.parse((await runtime(['ls', '--json'])).stdout);
    expect(runtimes).toContainEqual(expect.objectContaining({ name: 'minimal', recipe: expect.any(String) }));
  });

  test('runtime show: has the manifest of a name, of a file_hash and of a recipe', async () => {
    const byName = JSON.parse((await runtime(['show', 'debian-12-python', '--json'])).stdout);
    expect(byName).toMatchObject({ built: true, manifest: { interpreters: { python: { path: '/usr/bin/python3' } } } });
    expect((await runtime(['show', byName.fileHash])).stdout).toContain('description  Debian 12 with Python');
    expect(JSON.parse((await runtime(['show', byName.recipe, '--json'])).stdout)).toEqual(byName);
    const unknown = await runtime(['show', 'nope']);
    expect(unknown).toMatchObject({ exitCode: 3, stderr: expect.stringMatching(/expected one of .*debian-11-node/) });
  });

  test('runtime show: says that a recipe is not built, and names what is wrong with one', async () => {
    const recipe = (await readFile(OFFICIAL, 'utf8')).replace('name: debian-12-python', 'name: mine');
    await using folder = await temporaryFolder({ 'mine/recipe.yaml': recipe, 'bad/recipe.yaml': 'name: bad' });
    const { exitCode, stderr, stdout } = await runtime(['show', 'mine'], folder.path);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0, stderr: 'Build it with: vmlet runtime build mine\n' });
    expect(stdout).toMatch(/^name +mine\n[\s\S]*^state +not built$/m);
    const bad = await runtime(['show', './bad/recipe.yaml'], folder.path);
    expect(bad.exitCode).toBe(7);
    expect(bad.stderr).toMatch(
      /^( {2}\| \S.*recipe\.yaml:1:1: .*\n( {2}\| .*\n)*)+error: Cannot use the recipe: \d+ faults in it, expected none\n {2}next: /,
    );
  });

  test('runtime build: gives the image of a recipe, and a copy with its manifest', async () => {
    await using folder = await temporaryFolder();
    const { exitCode, stdout } = await runtime(['build', 'debian-12-python', '--out', 'images'], folder.path);
    expect(exitCode).toBe(0);
    const image = join(folder.path, 'images/debian-12-python.erofs');
    expect(stdout).toBe(`${image}\n`);
    const manifest = JSON.parse(await readFile(join(folder.path, 'images/debian-12-python.json'), 'utf8'));
    expect(manifest).toMatchObject({ name: 'debian-12-python', sizeBytes: (await stat(image)).size });
    const nothing = await runtime(['build', 'nope'], folder.path);
    expect(nothing).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('Cannot read the recipe "nope"') });
  });
});

describe('official runtimes in other filesystems', () => {
  test('runtime show: knows one by its recipe’s name and a filesystem', async () => {
    const shown = JSON.parse((await runtime(['show', 'debian-12-python-ext4', '--json'])).stdout);
    expect(shown).toMatchObject({ name: 'debian-12-python-ext4', recipe: fileURLToPath(OFFICIAL) });
    const squashfs = JSON.parse((await runtime(['show', 'minimal-squashfs', '--json'])).stdout);
    expect(squashfs.name).toBe('minimal-squashfs');
    const listed = (await runtime(['ls'])).stdout;
    expect(listed).toMatch(/^debian-11-node-ext4 /m);
    expect(listed).not.toContain('minimal-squashfs');
    expect((await runtime(['show', 'minimal-ntfs'])).exitCode).toBe(3);
  });
});

test('well-known runtimes: each leads to a recipe of this name, in the filesystem that it has itself', async () => {
  const found = await Promise.all(
    WELL_KNOWN_RUNTIMES.map(async ({ itemHash, name }) => {
      const recipe = await findOfficial(name);
      if (recipe === undefined) return [itemHash.slice(0, 4), name, undefined];
      const read = await readRecipe(join(recipe.folder, 'recipe.yaml'), { filesystem: recipe.filesystem });
      return [itemHash.slice(0, 4), read.recipe.name, read.recipe.filesystem.format];
    }),
  );
  expect(found).toEqual([
    ['63f0', 'debian-12-python-ext4', 'ext4'],
    ['3c23', 'debian-11-node-ext4', 'ext4'],
    ['bd79', 'debian-11-python-node', 'ext4'],
    ['8879', 'debian-11', 'btrfs'],
    ['6e30', 'debian-12', 'btrfs'],
    ['77fe', 'ubuntu-22.04', 'btrfs'],
  ]);
});
