import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { BUILD_FAILPOINTS } from '../../packages/builder/src/failpoint.ts';
import { FAILPOINTS } from '../../packages/node/src/failpoint.ts';
import { isTest, parse, placeOf, type Source, textFiles, walk } from './sources.ts';

/** Each says what the other may not: the builder stands below the node. */
const TABLES = ['packages/builder/src/failpoint.ts', 'packages/node/src/failpoint.ts'];
const shipped = textFiles(/^packages\/.*\.ts$/).filter(({ path }) => !isTest(path) && !TABLES.includes(path));

/** Names of the failpoints in a file, and calls whose name cannot be read or that nobody awaits. */
function failpointsOf(source: Source): { names: string[]; faults: string[] } {
  const names: string[] = [];
  const faults: string[] = [];
  walk(parse(source), (node) => {
    if (!ts.isCallExpression(node) || node.expression.getText() !== 'failpoint') return;
    const [name] = node.arguments;
    if (name && ts.isStringLiteral(name)) names.push(name.text);
    else faults.push(`${placeOf(node)}: no name`);
    const isOneOfAll = ts.isArrayLiteralExpression(node.parent);
    if (!ts.isAwaitExpression(node.parent) && !isOneOfAll) faults.push(`${placeOf(node)}: not awaited`);
  });
  return { names, faults };
}

describe('failpoints', () => {
  test('failpoints: stand in the code once each, as the tables have them', () => {
    const names = shipped.flatMap((source) => failpointsOf(source).names);
    expect(names.toSorted()).toEqual([...BUILD_FAILPOINTS, ...FAILPOINTS].map(({ name }) => String(name)).toSorted());
    expect(shipped.flatMap((source) => failpointsOf(source).faults)).toEqual([]);
  });

  test('check: catches names that cannot be read, and what nobody awaits', () => {
    const text =
      "await failpoint(step);\nfailpoint('a.b');\nawait failpoint('c.d');\nPromise.all([f(), failpoint('e.f')]);";
    expect(failpointsOf({ path: 'x.ts', text })).toEqual({
      names: ['a.b', 'c.d', 'e.f'],
      faults: ['x.ts:1: no name', 'x.ts:2: not awaited'],
    });
  });
});
