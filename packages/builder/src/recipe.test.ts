import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { BAD, EVERYTHING, EXTRACT, GOOD, NPM, ON_PUBLISHED } from './recipe/testing.ts';
import { parseRecipe, RecipeError, readRecipe } from './recipe.ts';

const faultOf = (text: string) => {
  try {
    parseRecipe(text, 'r.yaml');
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(RecipeError);
    return (error as RecipeError).message;
  }
};

test('parseRecipe: reads a recipe, with nothing where it says nothing', () => {
  expect(parseRecipe(GOOD, 'r.yaml')).toMatchObject({
    name: 'small',
    packages: ['python3', 'python3-flask'],
    exclude: [],
    include: [],
    remove: ['/var/log/*'],
  });
});

test('parseRecipe: reads packages of npm, files, links, and several versions of an interpreter', () => {
  const python = '{ path: /usr/bin/python3, others: [/opt/python/bin/python] }';
  const more = 'files:\n  - { path: /etc/motd, content: hello }\nlinks:\n  /usr/bin/tool: /opt/tool\n';
  const recipe = parseRecipe(`${GOOD.replace('/usr/bin/python3', python)}${NPM}${more}`, 'r.yaml');
  expect(recipe).toMatchObject({
    npm: [{ package: 'tool', copy: [{ from: 'bin/tool', to: '/opt/tool' }] }],
    files: [{ path: '/etc/motd', content: 'hello' }],
    links: { '/usr/bin/tool': '/opt/tool' },
    interpreters: { python: { path: '/usr/bin/python3', others: ['/opt/python/bin/python'] } },
  });
  expect(parseRecipe(`${EXTRACT}applets: /bin/busybox\n`, 'r.yaml')).toMatchObject({ applets: '/bin/busybox' });
});

test('parseRecipe: adds nothing to a recipe that names none of what came later, so that its hash stays', () => {
  expect(Object.keys(parseRecipe(GOOD, 'r.yaml'))).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/^(npm|files|links|directories|applets)$/)]),
  );
});

test('parseRecipe: reads all that a recipe can say', () => {
  expect(parseRecipe(EVERYTHING, 'r.yaml')).toMatchObject({
    labels: { 'org.example/team': 'web' },
    components: ['main', 'non-free-firmware'],
    mirrors: [
      { url: 'http://mirror.example/debian' },
      { url: 'https://other.example/debian', keyring: 'keys/other.gpg' },
    ],
    keyring: 'keys/archive.gpg',
    run: [{ run: 'useradd --system app' }, { run: 'make -C /opt/tool\n', env: { PREFIX: '/usr' } }],
    environment: { LANG: 'C.UTF-8' },
    user: 'app:app',
  });
});

test('parseRecipe: has a default for all but who it is and what it is made of', () => {
  expect(parseRecipe('format: 1\nname: small\ndistribution: ubuntu\nsuite: jammy\n', 'r.yaml')).toEqual({
    ...{ format: 1, name: 'small', version: '1', description: '', distribution: 'ubuntu', suite: 'jammy' },
    ...{ architecture: 'amd64', variant: 'minbase', packages: [], exclude: [], include: [], remove: [] },
    ...{ interpreters: {}, init: 'kit', filesystem: { format: 'erofs', compression: 'lz4hc', maxSizeMiB: 1024 } },
  });
});

test.each([
  ['squashfs', { format: 'squashfs', compression: 'zstd', maxSizeMiB: 1024 }],
  ['ext4', { format: 'ext4', maxSizeMiB: 1024 }],
  ['btrfs', { format: 'btrfs', maxSizeMiB: 1024 }],
])('parseRecipe: compresses %s as is usual for it, when the recipe does not say', (format, filesystem) => {
  const text = GOOD.slice(0, GOOD.indexOf('filesystem:'));
  expect(parseRecipe(`${text}filesystem: { format: ${format} }\n`, 'r.yaml').filesystem).toEqual(filesystem);
});

test('parseRecipe: takes what a published runtime has as it is', () => {
  expect(parseRecipe(ON_PUBLISHED, 'r.yaml')).toMatchObject({
    extends: 'ab'.repeat(32),
    distribution: 'custom',
    packages: [],
  });
  const more = 'distribution: debian\nsuite: bookworm\npackages: [jq]\n';
  expect(parseRecipe(`${ON_PUBLISHED}${more}`, 'r.yaml')).toMatchObject({ suite: 'bookworm', packages: ['jq'] });
});

test.each(BAD)('parseRecipe: names file, line and column of $name', ({ text, fault }) => {
  expect(faultOf(text)).toMatch(fault);
});

test('parseRecipe: refuses removals with variant "extract", which has only what is named', () => {
  expect(faultOf(GOOD.replace('minbase', 'extract'))).toMatch(/^r\.yaml:12:1: "remove": /);
});

test('parseRecipe: names all faults, one a line', () => {
  expect(faultOf(GOOD.replace('amd64', 'arm64').replace('minbase', 'huge'))?.split('\n')).toHaveLength(2);
});

test('parseRecipe: refuses aliases that multiply', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefgh'.split('').map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`)}]`),
  ];
  expect(faultOf(`${bomb.join('\n')}\n`)).toMatch(/^r\.yaml:1:\d+: /);
});

test('readRecipe: names the file, when there is none', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const path = join(dir.path, 'recipe.yaml');
  await expect(readRecipe(path)).rejects.toBeInstanceOf(RecipeError);
  await expect(readRecipe(path)).rejects.toThrow(`${path}:1: ENOENT`);
});

test.each([
  ['debian-12-python', 90],
  ['debian-11-node', 160],
  ['minimal', 4],
])('readRecipe: reads the official recipe %s', async (name, maxSizeMiB) => {
  const { recipe } = await readRecipe(join(import.meta.dirname, '../../../runtimes', name, 'recipe.yaml'));
  expect(recipe).toMatchObject({ name, filesystem: { maxSizeMiB } });
});

test('the guide: shows one more version of Node.js as debian-11-node takes it', async () => {
  const root = join(import.meta.dirname, '../../..');
  const guide = await readFile(join(root, 'docs/guides/write-a-recipe.md'), 'utf8');
  const shown = parse(/^```yaml\n(npm:\n.*?)^```$/ms.exec(guide)?.[1] ?? '');
  const recipe = parse(await readFile(join(root, 'runtimes/debian-11-node/recipe.yaml'), 'utf8'));
  const { others } = shown.interpreters.node;
  expect(others).toContain(recipe.interpreters.node.others[0]);
  expect(others).toContain(shown.npm[0].copy[0].to);
  const more = { ...recipe, npm: [...recipe.npm, ...shown.npm], interpreters: shown.interpreters };
  expect(parseRecipe(stringify(more), 'r.yaml').npm).toHaveLength(recipe.npm.length + 1);
});
