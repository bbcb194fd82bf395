import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
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
  ['a wrong value', GOOD.replace('amd64', 'arm64'), /^r\.yaml:7:\d+: "architecture": /],
  ['a bad list entry', GOOD.replace('python3-flask', '-rm'), /^r\.yaml:11:\d+: "packages\.1": /],
  ['a bad value deep inside', GOOD.replace('lz4hc', 'zstd'), /^r\.yaml:19:\d+: "filesystem\.compression": /],
  ['a number that is none', GOOD.replace('90', 'many'), /^r\.yaml:20:\d+: "filesystem\.maxSizeMiB": /],
  [
    'something where init0 goes',
    `${GOOD.replace('init: kit', 'init: image')}files: [{ path: /sbin/init, content: x }]\n`,
    /^r\.yaml:16:\d+: "init": expected nothing at "\/sbin\/init"/,
  ],
  ['a missing key', GOOD.replace('suite: bookworm\n', ''), /^r\.yaml:1:\d+: "suite": /],
  ['a key that nobody knows', `${GOOD}pakages: []\n`, /^r\.yaml:21:\d+: .*pakages/],
  [
    'a path that goes up',
    GOOD.replace('/var/log/*', '/var/../etc'),
    /^r\.yaml:13:\d+: "remove\.0": expected a path without "\.\."/,
  ],
  ['an interpreter that nobody knows', GOOD.replace('  python:', '  perl:'), /^r\.yaml:15:\d+: /],
  ['a newer format', GOOD.replace('format: 1', 'format: 2'), /^r\.yaml:1:\d+: "format": /],
  ['a key twice', `${GOOD}init: kit\n`, /^r\.yaml:21:\d+: /],
  ['text that is no YAML', 'a: [1\nb: }', /^r\.yaml:\d:\d+: /],
  ['an empty file', '', /^r\.yaml:1:\d+: /],
])('parseRecipe: names file and line of %s', (_name, text, expected) => {
  expect(faultOf(text)).toMatch(expected);
});

const NPM = `npm:
  - package: tool
    version: 1.2.3
    integrity: sha512-${'A'.repeat(86)}==
    copy:
      - from: bin/tool
        to: /opt/tool
`;
const EXTRACT = GOOD.replace('minbase', 'extract').replace('remove:\n  - /var/log/*\n', '');

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

test.each([
  [
    'a range of versions',
    NPM.replace('1.2.3', '^1.2.3'),
    /^r\.yaml:23:\d+: "npm\.0\.version": expected one exact version/,
  ],
  ['a weaker hash', NPM.replace('sha512-', 'sha1-'), /^r\.yaml:24:\d+: "npm\.0\.integrity": /],
  ['a name that is an option', NPM.replace('tool', '-rf'), /^r\.yaml:22:\d+: "npm\.0\.package": /],
  ['a package of elsewhere', NPM.replace('tool', '../tool'), /^r\.yaml:22:\d+: "npm\.0\.package": /],
  [
    'a copy from outside',
    NPM.replace('bin/tool', 'bin/../../tool'),
    /^r\.yaml:26:\d+: .*expected a path without "\.\."/,
  ],
  [
    'a copy to outside',
    NPM.replace('/opt/tool', '/opt/../../tool'),
    /^r\.yaml:27:\d+: .*expected a path without "\.\."/,
  ],
  [
    'a file of two kinds',
    'files:\n  - { path: /a, content: a, source: b }\n',
    /^r\.yaml:22:\d+: "files\.0": expected one of/,
  ],
  ['a file of no kind', 'files:\n  - { path: /a }\n', /^r\.yaml:22:\d+: "files\.0": expected one of/],
  ['a mode without its zero', 'files:\n  - { path: /a, content: a, mode: "755" }\n', /^r\.yaml:22:\d+: .*"0755"/],
  ['a link below a link', 'links:\n  /a: /etc\n  /a/b: c\n', /^r\.yaml:23:\d+: .*expected no link above it/],
  ['applets of a whole system', 'applets: /bin/busybox\n', /^r\.yaml:21:\d+: .*"extract" only/],
  ['joined files of a whole system', 'files:\n  - { path: /a, concat: /b* }\n', /^r\.yaml:22:\d+: .*"extract" only/],
])('parseRecipe: names file and line of %s', (_name, addition, expected) => {
  expect(faultOf(`${GOOD}${addition}`)).toMatch(expected);
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
