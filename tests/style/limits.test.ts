import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { ROOT } from './cruise.ts';
import { isTest, parse, textFiles, walk } from './sources.ts';

const UNITS: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const TIMES_MS: Record<string, number> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, days: 86_400_000 };

/** Names of limits and defaults by the house style; the second pattern are facts of formats, which nobody chose. */
const LIMIT = /^(MAX|LOW|DEFAULT)_|_(BYTES|MS|MIB|SECONDS|CHARS|KEPT)$|^_?MAX_/;
const NO_LIMIT =
  /^(MIB|UNIT_MS|DEFAULT_(PYTHON|CHANNEL|LISTEN)|SQUASHFS_SUPERBLOCK_BYTES|SIZE_TRAILER_BYTES|HEADER_BYTES|(END|CENTRAL|LOCAL)_BYTES|KEY_SIZE_BYTES|MAX_COMMENT_BYTES)$/;

interface Row {
  what: string;
  value: string;
  name: string;
  file: string;
}

const page = readFileSync(join(ROOT, 'docs/LIMITS.md'), 'utf8');
const rows: Row[] = [...page.matchAll(/^\| (.+?) +\| (.+?) +\| `(.+?)` +\| \[.+?\]\(\.\.\/(.+?)\) +\|$/gm)].map(
  ([, what = '', value = '', name = '', file = '']) => ({ what, value, name, file }),
);

/** The text of what `NAME` or `OBJECT.member` is set to, in TypeScript, C or Python. */
function setTo({ name, file }: Row): string | undefined {
  const text = readFileSync(join(ROOT, file), 'utf8');
  if (!file.endsWith('.ts')) return new RegExp(`\\b${name} ?= ?([^;,}\\n]+)`).exec(text)?.[1]?.trim();
  const [member = '', object] = name.split('.').reverse();
  let found: string | undefined;
  walk(parse({ path: file, text }), (node) => {
    const isSet = ts.isVariableDeclaration(node) || ts.isPropertyAssignment(node);
    if (!isSet || node.name.getText() !== member || node.initializer === undefined) return;
    if (object !== undefined && ts.isPropertyAssignment(node) && nameAbove(node) !== object) return;
    found ??= node.initializer.getText().replace(/^options\.\w+ \?\? /, '');
  });
  return found;
}

function nameAbove(node: ts.PropertyAssignment): string {
  const declaration = node.parent.parent;
  return ts.isVariableDeclaration(declaration) ? declaration.name.getText() : '';
}

/** The number that arithmetic on literals comes to; undefined for anything else. */
function evaluate(expression: string): number | undefined {
  const text = expression
    .replaceAll('_', '')
    .replace(/\bMIB\b/g, '1048576')
    .replace(/\bGIB\b/g, '1073741824');
  if (!/^(0x[\da-f]+|[\d.]+)( ?(\*\*|[*+]) ?[\d.]+)*$/i.test(text)) return undefined;
  const sum = text.split('+').map((term) => {
    const factors = term.replace(/([\d.]+) ?\*\* ?([\d.]+)/g, (_, base, power) =>
      String(Number(base) ** Number(power)),
    );
    return factors.split('*').reduce((product, factor) => product * Number(factor), 1);
  });
  return sum.reduce((total, term) => total + term, 0);
}

/** The number that a row states, in the unit of the constant's name. */
function stated({ value, name }: Row): number | undefined {
  const [, digits = '', unit = ''] = /^([\d,]+)(?: (\w+))?/.exec(value) ?? [];
  const number = Number(digits.replaceAll(',', ''));
  if (digits === '') return undefined;
  const time = TIMES_MS[unit];
  if (time !== undefined) return /seconds$/i.test(name) ? (number * time) / 1000 : number * time;
  return /MIB$|\.memory$/.test(name) ? number : number * (UNITS[unit] ?? 1);
}

describe('docs/LIMITS.md', () => {
  test('rows: have the value of the code', () => {
    expect(rows.length).toBe((page.match(/^\| (?!what +\| value|---)/gm) ?? []).length);
    const faults = rows.flatMap((row) => {
      if (!existsSync(join(ROOT, row.file))) return [`${row.file} does not exist`];
      const found = setTo(row);
      if (found === undefined) return [`${row.file}: no ${row.name}`];
      const value = evaluate(found);
      return value === undefined || value === stated(row)
        ? []
        : [`${row.file}: ${row.name} is ${found}, not ${row.value}`];
    });
    expect(faults).toEqual([]);
  });

  test('rows: are checked against a number, nearly all of them', () => {
    const unchecked = rows.filter((row) => evaluate(setTo(row) ?? '') === undefined);
    expect(unchecked.map(({ name }) => name)).toEqual(['jsonBytes', 'maxBoots', 'memoryBudgetMiB', 'spareBudgetMiB']);
  });

  test('limits of the code: have a row, all of them', () => {
    const shipped = textFiles(/^packages\/.*\.ts$/).filter(({ path }) => !isTest(path) && !path.includes('/make-'));
    const missing = shipped.flatMap((source) => {
      const names: string[] = [];
      walk(parse(source), (node) => {
        if (ts.isVariableDeclaration(node) && ts.isSourceFile(node.parent.parent.parent))
          names.push(node.name.getText());
      });
      const limits = names.filter((name) => LIMIT.test(name) && !NO_LIMIT.test(name));
      const listed = rows.filter(({ file }) => file === source.path).map(({ name }) => name.split('.')[0]);
      return limits.filter((name) => !listed.includes(name)).map((name) => `${source.path}: ${name}`);
    });
    expect(missing).toEqual([]);
  });
});
