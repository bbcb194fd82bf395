import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseRecipe, RecipeError } from '../recipe.ts';
import { readDocument } from './document.ts';
import { plainValue } from './node.ts';
import { EVERYTHING, EXTRACT, GOOD, ON_PUBLISHED } from './testing.ts';

const RUNS = process.env.VMLET_TEST_ALL ? 100_000 : 3000;

const read = (text: string) => plainValue(readDocument({ path: 'r.yaml', text }));
const refusalOf = (text: string) => {
  try {
    read(text);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(RecipeError);
    return error as RecipeError;
  }
};

test('readDocument: takes words for words, whatever YAML 1.1 made of them', () => {
  expect(read('a: no\nb: on\nc: y\nd: 1_000\ne: 12:30\nf: 2024-01-01\ng: !!str 5\n')).toEqual({
    ...{ a: 'no', b: 'on', c: 'y', d: '1_000', e: '12:30', f: '2024-01-01', g: '5' },
  });
  expect(read('a: true\nb: 0755\nc: ~\nd: 0x10\n')).toEqual({ a: true, b: 755, c: null, d: 16 });
});

test('readDocument: takes a byte order mark and the line ends of Windows', () => {
  expect(read('\uFEFFa: b\r\nc:\r\n  - d\r\n')).toEqual({ a: 'b', c: ['d'] });
});

test.each([
  ['a tab as indentation', 'a:\n\tb: c\n', 'r.yaml:2:1: expected spaces, found a tab'],
  ['a member twice', 'a: 1\nb: 2\na: 3\n', 'r.yaml:3:1: "a": expected it once, found it again'],
  ['a member of a member twice', 'x: { a: 1, a: 2 }\n', 'r.yaml:1:12: "x.a": expected it once, found it again'],
  ['an anchor', 'a: &x b\n', 'r.yaml:1:7: "a": expected the value itself, found an anchor or an alias of YAML'],
  [
    'an anchor of a name',
    '&x a: b\n',
    'r.yaml:1:4: "a": expected the value itself, found an anchor or an alias of YAML',
  ],
  ['a tag', 'a: !secret b\n', 'r.yaml:1:4: expected a value without a tag'],
  [
    'a tag of YAML',
    'a: !!binary aGk=\n',
    'r.yaml:1:13: "a": expected a value without a tag, found "tag:yaml.org,2002:binary"',
  ],
  ['a merge key', '<<: { a: b }\na: c\n', undefined],
  ['a directive', '%YAML 1.1\n---\na: no\n', 'r.yaml:1:1: expected YAML 1.2, found a directive of another version'],
  ['two documents', 'a: b\n---\nc: d\n', 'r.yaml:2:1: expected one document, found another after "---"'],
  ['a name that is a list', '? [a]\n: b\n', 'r.yaml:1:3: expected a name'],
  ['no name', ': b\n', 'r.yaml:1:1: expected a name'],
  ['the prototype', '__proto__: { a: b }\n', 'r.yaml:1:1: "__proto__": expected another name'],
  ['nothing', '# only this\n', 'r.yaml:1:1: expected a map, found nothing'],
  ['a control character', 'a: b\nc: "\u001b[31m"\n', 'r.yaml:2:5: expected text, found the control character U+001B'],
  ['a NUL', 'a\0: b\n', 'r.yaml:1:2: expected text, found the control character U+0000'],
])('readDocument: says what is wrong with %s', (_name, text, expected) => {
  expect(refusalOf(text)?.message).toBe(expected);
});

test('readDocument: refuses aliases before they multiply', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefgh'.split('').map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`)}]`),
  ];
  expect(refusalOf(`${bomb.join('\n')}\n`)?.message).toMatch(/^r\.yaml:1:7: "a": expected the value itself/);
});

test.each([
  ['lists', '['.repeat(100_000)],
  ['maps', '{a: '.repeat(50_000)],
  ['lists of lists', '- '.repeat(50_000)],
  ['indented maps', Array.from({ length: 400 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
])('readDocument: refuses %s in one another, however many', (_name, text) => {
  expect(refusalOf(text)?.message).toMatch(/expected a few levels of maps and lists, found too many$/m);
});

test('readDocument: reads names without end in a time that their number takes, and no longer', () => {
  const names = Array.from({ length: 60_000 }, (_, index) => `n${index}: x`);
  expect(Object.keys(read(names.join('\n')) as object)).toHaveLength(60_000);
});

test('detail: shows each fault in its lines, with a caret', () => {
  const text = 'format: 1\nname: A\ndistribution: debian\nsuite: bookworm\nfilesystem: { format: zfs }\n';
  const thrown = (() => {
    try {
      return parseRecipe(text, 'r.yaml');
    } catch (error) {
      return error as RecipeError;
    }
  })();
  expect('detail' in thrown && thrown.detail.split('\n')).toEqual([
    expect.stringMatching(/^r\.yaml:2:7: "name": expected 1 to 63 lowercase/),
    '  1 | format: 1',
    '> 2 | name: A',
    '    |       ^',
    '  3 | distribution: debian',
    '',
    expect.stringMatching(/^r\.yaml:5:23: "filesystem\.format": expected one of "erofs"/),
    '  4 | suite: bookworm',
    '> 5 | filesystem: { format: zfs }',
    '    |                       ^',
    '  6 |',
  ]);
});

test('detail: shows a long line around its fault, and nothing that moves a terminal', () => {
  const detail = refusalOf(`a: { ${'b: c, '.repeat(100)}\u202E }\n\u0007`)?.detail ?? '';
  expect(detail).toContain('> 2 |\n    | ^');
  expect(detail.split('\n').every((line) => line.length <= 110)).toBe(true);
  expect(detail).not.toMatch(/\u202E/);
  expect(detail).not.toContain('\u0007');
});

test('parseRecipe: reads any text or says where it is wrong, and never anything else', () => {
  const pieces = fc.constantFrom(
    ...['\t', '\n', '  ', '- ', ': ', '? ', '&a ', '*a', '!!str ', '!x ', '|', '>-', '"', "'", '{', '}', '[', ']', ','],
    ...[
      '---\n',
      '...\n',
      '%YAML 1.1\n',
      '<<: ',
      '#',
      '\r',
      '\u0000',
      '\u0085',
      '\uFEFF',
      '\u2028',
      '\uD800',
      'é',
      '0o7',
    ],
    ...['format', 'extends: ./x\n', 'packages:\n', '  - a\n', 'null', '~', '1e999', '.nan', '__proto__: x\n', '@', '`'],
  );
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(12), fc.oneof(pieces, fc.string({ maxLength: 6 }))), {
    minLength: 1,
    maxLength: 6,
  });
  const mutated = fc.tuple(fc.constantFrom(GOOD, EXTRACT, EVERYTHING, ON_PUBLISHED), changes).map(([text, all]) =>
    all.reduce((now, [at, removed, added]) => {
      const place = at % (now.length + 1);
      return now.slice(0, place) + added + now.slice(place + removed);
    }, text),
  );
  const made = fc.array(pieces, { maxLength: 30 }).map((all) => all.join(''));
  fc.assert(
    fc.property(fc.oneof({ weight: 4, arbitrary: mutated }, made, fc.string()), (text) => {
      try {
        expect(parseRecipe(text, 'r.yaml').format).toBe(1);
      } catch (error) {
        expect(error).toBeInstanceOf(RecipeError);
        const { faults, detail, message } = error as RecipeError;
        const lines = text.split('\n');
        expect(faults.length).toBeGreaterThan(0);
        for (const { place } of faults)
          expect(place.column).toBeLessThanOrEqual((lines[place.line - 1] ?? '').length + 1);
        expect(message.split('\n')).toHaveLength(faults.length);
        expect(detail).not.toMatch(/(?!\n)\p{Cc}/u);
      }
    }),
    { numRuns: RUNS },
  );
  // A hundred thousand take their time.
}, 600_000);
