import { mkdir, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { RecipeError, readRecipe } from '../recipe.ts';
import { GOOD } from './testing.ts';

const HEAD = 'format: 1\nname: child\nextends: ../base\n';

async function folderWith(files: Record<string, string>) {
  const folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder.path, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  return folder;
}

/** Reads `child`, which stands beside `base`. */
async function readChild(child: string, base: string, more: Record<string, string> = {}) {
  const folder = await folderWith({ 'base/recipe.yaml': base, 'child/recipe.yaml': child, ...more });
  const path = join(folder.path, 'child/recipe.yaml');
  const read = await readRecipe(path, { official: join(folder.path, 'official') }).catch((error: unknown) => error);
  return { folder, path, read, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

async function recipeOf(child: string, base: string) {
  await using made = await readChild(child, base);
  if (made.read instanceof Error) throw made.read;
  return (made.read as Awaited<ReturnType<typeof readRecipe>>).recipe;
}

async function faultOf(child: string, base: string, more: Record<string, string> = {}) {
  await using made = await readChild(child, base, more);
  expect(made.read).toBeInstanceOf(RecipeError);
  return (made.read as RecipeError).message.replaceAll(made.folder.path, '');
}

test('extends: takes all of the base, and replaces what is said once', async () => {
  const recipe = await recipeOf(`${HEAD}description: The child\nsuite: trixie\n`, GOOD);
  expect(recipe).toMatchObject({
    ...{ name: 'child', description: 'The child', version: '1', suite: 'trixie', variant: 'minbase' },
    ...{ packages: ['python3', 'python3-flask'], interpreters: { python: '/usr/bin/python3' } },
  });
  expect(recipe.extends).toBeUndefined();
});

test('extends: adds to lists, each entry once', async () => {
  const base = `${GOOD}components: [main]\nrun: [one]\nfiles: [{ path: /a, content: a }, { path: /b, content: b }]\n`;
  const child = `${HEAD}packages: [jq, python3]\ncomponents: [contrib]\nrun: [one]\nfiles: [{ path: /a, content: c }]\n`;
  expect(await recipeOf(child, base)).toMatchObject({
    ...{ packages: ['python3-flask', 'jq', 'python3'], components: ['main', 'contrib'] },
    // What is done twice was meant twice.
    run: [{ run: 'one' }, { run: 'one' }],
    files: [
      { path: '/b', content: 'b' },
      { path: '/a', content: 'c' },
    ],
  });
});

test('extends: joins maps, and asks its own mirrors first', async () => {
  const base = `${GOOD}environment: { A: base, B: base }\nlabels: { x: base }\nmirrors: ["http://base.example"]\n`;
  const child = `${HEAD}environment: { B: child }\nlabels: { y: child }\nmirrors: ["http://child.example"]\ninterpreters: { node: /n }\n`;
  expect(await recipeOf(child, base)).toMatchObject({
    ...{ environment: { A: 'base', B: 'child' }, labels: { x: 'base', y: 'child' } },
    mirrors: [{ url: 'http://child.example' }, { url: 'http://base.example' }],
    interpreters: { python: '/usr/bin/python3', node: '/n' },
  });
});

test('extends: keeps the filesystem of the base, but for what is of another one', async () => {
  expect((await recipeOf(`${HEAD}filesystem: { maxSizeMiB: 9 }\n`, GOOD)).filesystem).toEqual({
    ...{ format: 'erofs', compression: 'lz4hc', maxSizeMiB: 9 },
  });
  expect((await recipeOf(`${HEAD}filesystem: { format: ext4 }\n`, GOOD)).filesystem).toEqual({
    ...{ format: 'ext4', maxSizeMiB: 90 },
  });
});

test('extends: finds an official recipe by its name, and leaves what names a published runtime', async () => {
  const official = { 'official/small/recipe.yaml': GOOD };
  await using named = await readChild(HEAD.replace('../base', 'small'), GOOD, official);
  expect(named.read).toMatchObject({ recipe: { packages: ['python3', 'python3-flask'] } });
  await using published = await readChild(HEAD.replace('../base', 'large@2'), GOOD, official);
  expect(published.read).toMatchObject({ recipe: { extends: 'large@2', distribution: 'custom' } });
});

test('extends: keeps the published runtime that a base stands on', async () => {
  expect(await recipeOf(HEAD, `format: 1\nname: base\nextends: ${'ab'.repeat(32)}\n`)).toMatchObject({
    ...{ extends: 'ab'.repeat(32), name: 'child' },
  });
});

test('extends: leaves each file beside the recipe that names it, and each member where it was written', async () => {
  const base = `${GOOD}keyring: keys.gpg\nfiles:\n  - { path: /base, source: etc/file }\n`;
  const child = `${HEAD}files:\n  - { path: /child, source: etc/file }\n`;
  const files = { 'base/keys.gpg': 'k', 'base/etc/file': 'b', 'child/etc/file': 'c' };
  await using made = await readChild(child, base, files);
  const { at, beside, refuse } = made.read as Awaited<ReturnType<typeof readRecipe>>;
  const inFolder = (name: string) => join(made.folder.path, name);
  expect(beside('keyring')).toBe(inFolder('base/keys.gpg'));
  expect(beside('files', 0, 'source')).toBe(inFolder('base/etc/file'));
  expect(beside('files', 1, 'source')).toBe(inFolder('child/etc/file'));
  expect(at('packages', 1)).toBe(`${inFolder('base/recipe.yaml')}:11`);
  expect(at('name')).toBe(`${inFolder('child/recipe.yaml')}:2`);
  expect(at('user')).toBe(`${inFolder('child/recipe.yaml')}:1`);
  const refusal = refuse(['packages', 1], 'expected a package');
  expect(refusal.message).toBe(`${inFolder('base/recipe.yaml')}:11:5: "packages.1": expected a package`);
  expect(refusal.detail).toContain('> 11 |   - python3-flask # a comment');
  const told = refuse(['name'], 'expected it to end well, found exit code 1:\n  E: no\n  E: room');
  expect(told.detail).toMatch(/\n {2}3 \| extends: .*\n {2}E: no\n {2}E: room$/);
  expect(told.faults).toHaveLength(1);
});

test.each([
  [
    'a base that is not there',
    HEAD.replace('../base', '../absent'),
    /^\/child\/recipe\.yaml:3:10: "extends": expected a folder with "recipe\.yaml", found none at "\/absent"$/,
  ],
  ['itself', HEAD.replace('../base', '.'), /^\/child\/recipe\.yaml:3:10: "extends": expected no circle/],
  [
    'what goes against the base',
    `${HEAD}directories: { /x: "0755" }\n`,
    /^\/child\/recipe\.yaml:4:1: "directories": expected it with variant "extract" only$/,
  ],
  [
    'what the base says, now that it is wrong',
    `${HEAD}variant: extract\n`,
    /^\/base\/recipe\.yaml:12:1: "remove": expected none with variant "extract"$/,
  ],
  [
    'a name that is not its own',
    HEAD.replace('name: child\n', ''),
    /^\/child\/recipe\.yaml:1:1: "name": expected text, found nothing$/,
  ],
])('extends: says which file is wrong: %s', async (_name, child, expected) => {
  expect(await faultOf(child, GOOD)).toMatch(expected);
});

test('extends: refuses circles, and more recipes on one another than anybody has', async () => {
  const circle = { 'base/recipe.yaml': 'format: 1\nname: base\nextends: ../child\n' };
  expect(await faultOf(HEAD, '', circle)).toMatch(
    /^\/base\/recipe\.yaml:3:10: "extends": expected no circle, found that "\/child\/recipe\.yaml" extends/,
  );
  const tower = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [
      `t${index}/recipe.yaml`,
      `format: 1\nname: t\nextends: ../t${index + 1}\n`,
    ]),
  );
  expect(await faultOf(HEAD.replace('../base', '../t0'), '', tower)).toMatch(
    /expected at most 16 recipes on one another$/,
  );
});

test('extends: names the fault of a base by its own file', async () => {
  expect(await faultOf(HEAD, `${GOOD}pakages: []\n`)).toMatch(/^\/base\/recipe\.yaml:21:1: "pakages": unknown member/);
});

test('readRecipe: says which file is not beside the recipe, and lets no link lead out of its folder', async () => {
  const child = `${GOOD}keyring: keys.gpg\nfiles:\n  - { path: /a, source: absent }\n  - { path: /b, source: out/secret }\n  - { path: /c, source: etc }\n`;
  await using folder = await folderWith({
    'secret/secret': 'x',
    'r/recipe.yaml': child,
    'r/keys.gpg': 'k',
    'r/etc/x': 'x',
  });
  await symlink('../secret', join(folder.path, 'r/out'));
  const failure: RecipeError = await readRecipe(join(folder.path, 'r/recipe.yaml')).then(
    () => expect.fail('it was read'),
    (error) => error,
  );
  expect(failure.message.replaceAll(folder.path, '').split('\n')).toEqual([
    expect.stringMatching(/^\/r\/recipe\.yaml:23:25: "files\.0\.source": expected a file beside the recipe: ENOENT/),
    expect.stringMatching(
      /^\/r\/recipe\.yaml:24:25: "files\.1\.source": expected a file in the folder of the recipe, found a link to "\/secret\/secret"$/,
    ),
    '/r/recipe.yaml:25:25: "files.2.source": expected a file, found something else',
  ]);
});

test.each([
  [
    'bytes that are no text',
    Buffer.from([...Buffer.from('a: b\nc: '), 0xff, 0xfe, 0x0a]),
    /:2: expected text in UTF-8, found other bytes$/,
  ],
  ['text in UTF-16', Buffer.from('\uFEFFformat: 1\n', 'utf16le'), /:1: expected text in UTF-8, found other bytes$/],
  [
    'a file without end',
    Buffer.alloc(1024 * 1024 + 1, 0x20),
    /:1: found 1048577 bytes, expected at most 1048576 bytes/,
  ],
])('readRecipe: refuses %s', async (_name, bytes, expected) => {
  await using folder = await folderWith({});
  const path = join(folder.path, 'recipe.yaml');
  await writeFile(path, bytes);
  await expect(readRecipe(path)).rejects.toThrow(expected);
});

test('readRecipe: refuses a folder', async () => {
  await using folder = await folderWith({ 'recipe.yaml/x': '' });
  await expect(readRecipe(join(folder.path, 'recipe.yaml'))).rejects.toThrow(/:1: (EISDIR|expected a file)/);
});
