import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseRecipe, RecipeError } from '../recipe.ts';
import { recipeFileSchema } from '../schema.ts';
import { recipeJsonSchema } from './json-schema.ts';
import { BAD, EVERYTHING, EXTRACT, GOOD, NPM, ON_PUBLISHED } from './testing.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const SCHEMA = join(ROOT, 'docs/formats/recipe.schema.json');
const OFFICIAL = readdirSync(join(ROOT, 'runtimes'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const RUNS = process.env.VMLET_TEST_ALL ? 100_000 : 2000;

const isValid = new Ajv({ strict: true, strictRequired: false, strictTypes: false }).compile(recipeJsonSchema());

test('recipe.schema.json: is what `vmlet runtime schema` prints', async () => {
  expect(await readFile(SCHEMA, 'utf8')).toBe(`${JSON.stringify(recipeJsonSchema(), null, 2)}\n`);
});

test('recipe.schema.json: says of each member what it is for', () => {
  const { properties } = recipeJsonSchema() as { properties: Record<string, { description?: string }> };
  expect(Object.entries(properties).flatMap(([name, { description }]) => (description ? [] : [name]))).toEqual([]);
});

test.each(OFFICIAL)('recipe.schema.json: is named by the recipe of %s, which is right by it', async (name) => {
  const path = join(ROOT, 'runtimes', name, 'recipe.yaml');
  const text = await readFile(path, 'utf8');
  const [, named = ''] = /^# yaml-language-server: \$schema=(\S+)$/m.exec(text) ?? [];
  expect(resolve(dirname(path), named)).toBe(SCHEMA);
  expect([isValid(parse(text)), isValid.errors]).toEqual([true, null]);
});

test.each(Object.entries({ GOOD, EXTRACT, EVERYTHING, ON_PUBLISHED, WITH_NPM: `${GOOD}${NPM}` }))(
  'recipe.schema.json: takes what the builder takes: %s',
  (_name, text) => {
    expect(parseRecipe(text, 'r.yaml').format).toBe(1);
    expect([isValid(parse(text)), isValid.errors]).toEqual([true, null]);
  },
);

test.each(BAD.filter(({ isUnseen }) => !isUnseen))('recipe.schema.json: refuses $name', ({ text }) => {
  expect(isValid(parse(text))).toBe(false);
});

test('recipe.schema.json: refuses nothing that the builder takes, and takes no member that it refuses, when recipes are mutated', () => {
  fc.assert(
    fc.property(fc.constantFrom(GOOD, EXTRACT, EVERYTHING, ON_PUBLISHED), mutations, (text, changes) => {
      const recipe: unknown = changes.reduce(changed, parse(text));
      const seen = isValid(recipe);
      if (!seen) expect(builderTakes(stringify(recipe)), stringify(recipe)).toBe(false);
      else expect(recipeFileSchema.safeParse(recipe).error?.issues, stringify(recipe)).toBeUndefined();
    }),
    { numRuns: RUNS },
  );
  // A hundred thousand take their time.
}, 600_000);

const words = fc.constantFrom(
  ...[
    '',
    '.',
    '..',
    '/',
    '/a',
    '/a/',
    '/a/../b',
    'a',
    'a/b',
    './a',
    '../a',
    'A',
    'a b',
    'a\nb',
    '0755',
    '1.2.3',
    'x@1',
  ],
  ...[
    'erofs',
    'squashfs',
    'ext4',
    'btrfs',
    'zstd',
    'none',
    'extract',
    'minbase',
    'kit',
    'image',
    'ubuntu',
    'root:root',
  ],
  ...[
    'http://a.example',
    'http://a@b.example',
    'ftp://a',
    'x'.repeat(64),
    'ab'.repeat(32),
    'x'.repeat(5000),
    '\u0000',
    'é',
  ],
);
const anything = fc.oneof(
  words,
  fc.constantFrom(null, true, 0, -1, 1, 4, 1.5, 512, 4097, 1e21),
  fc.array(words, { maxLength: 3 }),
  fc.dictionary(words, words, { maxKeys: 2 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 10 }),
);
const names = fc.constantFrom(
  ...[
    'name',
    'extends',
    'variant',
    'suite',
    'run',
    'env',
    'files',
    'path',
    'content',
    'source',
    'mode',
    'labels',
    'user',
  ],
  ...[
    'filesystem',
    'format',
    'clusterKiB',
    'freeMiB',
    'mirrors',
    'url',
    'keyring',
    'interpreters',
    'python',
    'nothing',
  ],
);
const mutations = fc.array(
  fc.record({ steps: fc.array(fc.nat(40), { maxLength: 4 }), name: names, value: anything, what: fc.nat(2) }),
  { minLength: 1, maxLength: 3 },
);
interface Change {
  steps: number[];
  name: string;
  value: unknown;
  what: number;
}

/** Replaces, removes or adds a member somewhere. */
function changed(node: unknown, { steps, name, value, what }: Change): unknown {
  if (typeof node !== 'object' || node === null) return value;
  const [step, ...rest] = steps;
  if (step === undefined) {
    if (what === 0) return value;
    return Array.isArray(node) ? [...node, value] : { ...node, [name]: value };
  }
  const keys = Object.keys(node);
  const key = keys[step % Math.max(keys.length, 1)];
  if (key === undefined) return node;
  if (rest.length === 0 && what === 1) {
    return Array.isArray(node)
      ? node.toSpliced(Number(key), 1)
      : Object.fromEntries(Object.entries(node).filter(([one]) => one !== key));
  }
  const below = changed(Reflect.get(node, key), { steps: rest, name, value, what });
  return Array.isArray(node) ? node.with(Number(key), below) : { ...node, [key]: below };
}

function builderTakes(text: string): boolean {
  try {
    parseRecipe(text, 'r.yaml');
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(RecipeError);
    return false;
  }
}
