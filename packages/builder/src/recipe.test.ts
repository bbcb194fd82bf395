import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseRecipe, RecipeError, readRecipe } from './recipe.ts';

const GOOD = `format: 1
name: small
version: "1"
description: A test
distribution: debian
suite: bookworm
architecture: amd64
variant: minbase
packages:
  - python3
  - python3-flask # a comment
remove:
  - /var/log/*
interpreters:
  python: /usr/bin/python3
init: kit
filesystem:
  format: erofs
  compression: lz4hc
  maxSizeMiB: 90
`;
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

test.each([
  ['a wrong value', GOOD.replace('amd64', 'arm64'), /^r\.yaml:7: "architecture": /],
  ['a bad list entry', GOOD.replace('python3-flask', '-rm'), /^r\.yaml:11: "packages\.1": /],
  ['a bad value deep inside', GOOD.replace('lz4hc', 'zstd'), /^r\.yaml:19: "filesystem\.compression": /],
  ['a number that is none', GOOD.replace('90', 'many'), /^r\.yaml:20: "filesystem\.maxSizeMiB": /],
  ['a missing key', GOOD.replace('suite: bookworm\n', ''), /^r\.yaml:1: "suite": /],
  ['a missing key deep inside', GOOD.replace('  compression: lz4hc\n', ''), /^r\.yaml:18: "filesystem\.compression": /],
  ['a key that nobody knows', `${GOOD}pakages: []\n`, /^r\.yaml:21: .*pakages/],
  [
    'a path that goes up',
    GOOD.replace('/var/log/*', '/var/../etc'),
    /^r\.yaml:13: "remove\.0": must not contain "\.\."/,
  ],
  ['an interpreter that nobody knows', GOOD.replace('  python:', '  perl:'), /^r\.yaml:15: /],
  ['a newer format', GOOD.replace('format: 1', 'format: 2'), /^r\.yaml:1: "format": /],
  ['a key twice', `${GOOD}init: kit\n`, /^r\.yaml:21: /],
  ['text that is no YAML', 'a: [1\nb: }', /^r\.yaml:\d: /],
  ['an empty file', '', /^r\.yaml:1: /],
])('parseRecipe: names file and line of %s', (_name, text, expected) => {
  expect(faultOf(text)).toMatch(expected);
});

test('parseRecipe: names all faults, one a line', () => {
  expect(faultOf(GOOD.replace('amd64', 'arm64').replace('minbase', 'huge'))?.split('\n')).toHaveLength(2);
});

test('parseRecipe: refuses aliases that multiply', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefgh'.split('').map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`)}]`),
  ];
  expect(faultOf(`${bomb.join('\n')}\n`)).toMatch(/^r\.yaml:1: /);
});

test('readRecipe: names the file, when there is none', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const path = join(dir.path, 'recipe.yaml');
  await expect(readRecipe(path)).rejects.toBeInstanceOf(RecipeError);
  await expect(readRecipe(path)).rejects.toThrow(`${path}:1: ENOENT`);
});

test('readRecipe: reads the official recipe', async () => {
  const recipe = await readRecipe(join(import.meta.dirname, '../../../runtimes/debian-12-python/recipe.yaml'));
  expect(recipe).toMatchObject({ name: 'debian-12-python', filesystem: { maxSizeMiB: 90 } });
});
