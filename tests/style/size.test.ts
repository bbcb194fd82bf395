import { execFileSync } from 'node:child_process';
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { measure, overBudget } from '../../tools/lint-size.ts';

/** A git repository with files in `packages/p/`. */
async function makeTree(files: Record<string, string>): Promise<AsyncDisposable & { path: string }> {
  const tree = await mkdtempDisposable(join(tmpdir(), 'vmlet-size-'));
  execFileSync('git', ['init', '-q'], { cwd: tree.path });
  for (const [name, text] of Object.entries(files)) {
    const path = join(tree.path, 'packages/p', name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  return { path: tree.path, [Symbol.asyncDispose]: () => tree.remove() };
}

const lines = (count: number, line: string) => `${line}\n`.repeat(count);
const statements = (count: number) => lines(count, '  f();');

describe('size budget', () => {
  test('shipped code: is within the budget', () => {
    expect(overBudget(measure())).toEqual([]);
  });

  test('overBudget: names file, function, exports and types, when they are over', async () => {
    await using tree = await makeTree({
      'long.ts': lines(401, '// why'),
      'function.ts': `const f = () => {\n${statements(79)}};\n`,
      'method.ts': `class A {\n  #b() {\n${statements(79)}  }\n}\n`,
      'exports.ts': `export { ${'abcdefghijk'.split('').join(', ')} } from './long.ts';\n`,
      'declared.ts': lines(11, 'export type A = 1;'),
      'any.ts': 'export const a: any = 1;\nexport const b = a!;\n',
      'init0.c': `${lines(700, '/* } */')}static int main(void)\n{\n\treturn f("}", '{');\n}\n`,
      'long.c': `struct a {\n\tint b;\n};\n\nint f(int a, struct b *c)\n{\n${lines(80, '\tg();')}}\n`,
      'long.py': `class A:\n    def f(self):\n${lines(80, '        g()')}`,
      'test/long.ts': lines(401, '// why'),
      'long.test.ts': lines(401, '// why'),
    });
    expect(overBudget(measure(tree.path)).filter((line) => line.startsWith('packages/'))).toEqual([
      'packages/p/long.ts: file 401, expected at most 400',
      'packages/p/function.ts:1 f: function 81, expected at most 80',
      'packages/p/method.ts:2 #b: function 81, expected at most 80',
      'packages/p/declared.ts: exports 11, expected at most 10',
      'packages/p/exports.ts: exports 11, expected at most 10',
      'packages/p/any.ts:1: any, expected none',
      'packages/p/any.ts:2: non-null assertion, expected none',
      'packages/p/init0.c: file 704, expected at most 700',
      'packages/p/long.c:5 f: function 83, expected at most 80',
      'packages/p/long.py:2 f: function 81, expected at most 80',
    ]);
  });

  test('overBudget: is empty, when everything is small', async () => {
    await using tree = await makeTree({
      'a.ts': `export const a = (b: number, c: number, { d }: { d: number }) => b + c + d;\n`,
      'b.ts': `export function f() {\n${statements(10)}}\n`,
      'c.py': `def f():\n    return 1\n`,
    });
    expect(overBudget(measure(tree.path))).toEqual([]);
    expect(measure(tree.path).flatMap((sizes) => sizes.manyParameters)).toEqual([]);
  });
});
