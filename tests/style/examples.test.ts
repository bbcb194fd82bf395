import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { firstMissing, readmeOf } from '../framework/examples.ts';
import { ROOT } from './cruise.ts';
import { textFiles } from './sources.ts';

const EXAMPLES = join(ROOT, 'examples');
const names = readdirSync(EXAMPLES, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? entry.name : [],
);

describe('examples', () => {
  test('examples: have a README each, and a line in the index', () => {
    expect(names.length).toBeGreaterThan(0);
    const index = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
    const missing = names.filter((name) => !index.includes(`(${name}/README.md)`));
    expect(missing.concat(names.filter((name) => !existsSync(join(EXAMPLES, name, 'README.md'))))).toEqual([]);
  });

  test('examples: are each followed by a test', () => {
    const tests = textFiles(/^tests\/e2e\/examples-\w+\.test\.ts$/).map(({ text }) => text);
    const followed = (name: string) => tests.some((text) => text.includes(`examples.follow('${name}')`));
    expect(names.filter((name) => !followed(name))).toEqual([]);
  });

  test('examples: bring no dependencies along, and no lock file names a registry', () => {
    expect(textFiles(/^examples\/.*node_modules\//)).toEqual([]);
    const locks = textFiles(/^examples\/.*package-lock\.json$/);
    expect(locks.length).toBeGreaterThan(0);
    expect(locks.filter(({ text }) => text.includes('"resolved"')).map(({ path }) => path)).toEqual([]);
  });
});

describe('READMEs of examples', () => {
  test('check: takes commands from blocks of sh, and what is printed from those without a name', () => {
    const page = '# x\n```sh\na\nb\n```\nwords\n```\nA 1\n...\n\nB\n```\n```json\nnot this\n```\n';
    expect(readmeOf(page)).toEqual({ script: 'a\necho\nb\necho\n', shown: ['A 1', 'B'] });
  });

  test('check: wants each line in its order, and takes other numbers', () => {
    const printed = ['start', 'took 17 ms', 'a', 'b', 'end'];
    expect(firstMissing(['took 5 ms', 'b'], printed)).toBeUndefined();
    expect(firstMissing(['b', 'a'], printed)).toBe('a');
    expect(firstMissing(['a', 'a'], printed)).toBe('a');
    expect(firstMissing(['took 5 s'], printed)).toBe('took 5 s');
  });
});
