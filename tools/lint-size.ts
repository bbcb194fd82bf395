/**
 * Measures shipped code against the budget of the house style: file and function sizes, exports, positional
 * parameters, `any`, non-null assertions. Prints a table; over the budget it lists where, and ends with 1.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const ROOT = join(import.meta.dirname, '..');
const TESTS = /\.test\.ts$|\/testing\.ts$|\/compliance[a-z-]*\.ts$|\/test\//;

/** Greatest values allowed. Medians and ninth deciles keep the middle small, maxima the tail. */
export const BUDGET = {
  file: { p50: 100, p90: 300, max: 400 },
  function: { p50: 12, p90: 45, max: 80 },
  exports: { p50: 10, p90: 10, max: 10 },
  /** init0 is PID 1 of every machine: small enough to be read in one sitting. */
  initLines: 700,
} as const;

/** A count at a place: `path` for a file, `path:line name` for what is in it. */
export interface Measured {
  where: string;
  count: number;
}

/** What was counted in the files of one language. */
export interface Sizes {
  language: 'TypeScript' | 'C' | 'Python';
  files: Measured[];
  functions: Measured[];
  /** Of modules; empty where the language has no such thing. */
  exports: Measured[];
  /** Functions with more than two positional parameters; an object of options is none. */
  manyParameters: Measured[];
  any: Measured[];
  nonNull: Measured[];
}

/** Measures the shipped sources below `root`, a git repository; files not yet committed count too. */
export function measure(root: string = ROOT): Sizes[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'packages'], { cwd: root });
  const paths = [...new Set(String(listed).split('\n'))].filter((path) => path !== '' && !TESTS.test(path));
  const texts = new Map<string, string>();
  for (const path of paths.filter((name) => /\.(ts|[ch]|py)$/.test(name))) {
    // A file that git knows may be gone from the tree.
    const text = readIfExists(join(root, path));
    if (text !== undefined) texts.set(path, text);
  }
  const of = (pattern: RegExp) => new Map([...texts].filter(([path]) => pattern.test(path)));
  return [measureTypeScript(of(/\.ts$/)), measureC(of(/\.[ch]$/)), measurePython(of(/\.py$/))];
}

/** @returns one line for each value over the budget */
export function overBudget(all: readonly Sizes[]): string[] {
  return all.flatMap((sizes) => {
    const over: string[] = [];
    const kinds = { file: sizes.files, function: sizes.functions, exports: sizes.exports };
    for (const kind of ['file', 'function', 'exports'] as const) {
      const measured = kinds[kind];
      const budget = BUDGET[kind];
      for (const { where, count } of measured) {
        const limit = where.endsWith('/init0.c') ? BUDGET.initLines : budget.max;
        if (count > limit) over.push(`${where}: ${kind} ${count}, expected at most ${limit}`);
      }
      // One file, init0, is all the C there is: it has a maximum, and medians say nothing.
      if (sizes.language === 'C') continue;
      for (const rank of ['p50', 'p90'] as const) {
        const found = percentile(measured, rank === 'p50' ? 0.5 : 0.9);
        if (found > budget[rank])
          over.push(`${sizes.language}: ${kind} ${rank} ${found}, expected at most ${budget[rank]}`);
      }
    }
    over.push(...sizes.any.map(({ where }) => `${where}: any, expected none`));
    over.push(...sizes.nonNull.map(({ where }) => `${where}: non-null assertion, expected none`));
    return over;
  });
}

function percentile(measured: readonly Measured[], fraction: number): number {
  const counts = measured.map(({ count }) => count).toSorted((a, b) => a - b);
  return counts[Math.max(0, Math.ceil(counts.length * fraction) - 1)] ?? 0;
}

function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

function filesOf(texts: ReadonlyMap<string, string>): Measured[] {
  return [...texts].map(([where, text]) => ({ where, count: lineCount(text) }));
}

function emptySizes(language: Sizes['language'], texts: ReadonlyMap<string, string>): Sizes {
  const none = { functions: [], exports: [], manyParameters: [], any: [], nonNull: [] };
  return { language, files: filesOf(texts), ...structuredClone(none) };
}

function measureTypeScript(texts: ReadonlyMap<string, string>): Sizes {
  const sizes = emptySizes('TypeScript', texts);
  for (const [path, text] of texts) {
    const source = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
    sizes.exports.push({ where: path, count: source.statements.reduce((sum, item) => sum + exportedNames(item), 0) });
    visit(source, source, sizes);
  }
  return sizes;
}

function visit(node: ts.Node, source: ts.SourceFile, sizes: Sizes): void {
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const at = (name: string) => `${source.fileName}:${lineOf(node.getStart())}${name && ` ${name}`}`;
  if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
    const where = at(nameOf(node));
    // An arrow function that is one expression is part of a statement, not a function to be read by itself.
    if (ts.isBlock(node.body))
      sizes.functions.push({ where, count: lineOf(node.getEnd()) - lineOf(node.getStart()) + 1 });
    const { length } = node.parameters.filter(
      (parameter) => parameter.name.getText() !== 'this' && !isOptions(parameter),
    );
    if (length > 2) sizes.manyParameters.push({ where, count: length });
  }
  if (node.kind === ts.SyntaxKind.AnyKeyword) sizes.any.push({ where: at(''), count: 1 });
  if (ts.isNonNullExpression(node)) sizes.nonNull.push({ where: at(''), count: 1 });
  ts.forEachChild(node, (child) => visit(child, source, sizes));
}

/** What a caller names by its members: an object taken apart, or one of options. */
function isOptions({ name, type }: ts.ParameterDeclaration): boolean {
  if (ts.isObjectBindingPattern(name) || /^(options|context)$/.test(name.getText())) return true;
  return type !== undefined && (ts.isTypeLiteralNode(type) || /Options$/.test(type.getText()));
}

function nameOf(node: ts.SignatureDeclaration): string {
  if (node.name !== undefined) return node.name.getText();
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  return ts.isVariableDeclaration(node.parent) ? node.parent.name.getText() : '';
}

function exportedNames(statement: ts.Statement): number {
  if (ts.isExportAssignment(statement)) return 1;
  if (ts.isExportDeclaration(statement)) {
    const { exportClause } = statement;
    return exportClause !== undefined && ts.isNamedExports(exportClause) ? exportClause.elements.length : 1;
  }
  const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
  if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return 0;
  return ts.isVariableStatement(statement) ? statement.declarationList.declarations.length : 1;
}

/** By braces: our C is formatted, and a function is a block outside of any other that follows a parenthesis. */
function measureC(texts: ReadonlyMap<string, string>): Sizes {
  const sizes = emptySizes('C', texts);
  for (const [path, text] of texts) {
    const code = blanked(text);
    let depth = 0;
    let start = 0;
    let open: { line: number; name: string } | undefined;
    for (let index = 0; index < code.length; index += 1) {
      const character = code[index];
      if (character === '{' && depth++ === 0) open = functionAt(code, start, index);
      if (character === '}' && --depth === 0 && open !== undefined) {
        sizes.functions.push({
          where: `${path}:${open.line} ${open.name}`,
          count: lineAt(code, index) - open.line + 1,
        });
        open = undefined;
      }
      if (depth === 0 && (character === '}' || character === ';')) start = index + 1;
    }
  }
  return sizes;
}

function functionAt(code: string, start: number, brace: number): { line: number; name: string } | undefined {
  const head = code.slice(start, brace);
  if (!head.trimEnd().endsWith(')')) return undefined;
  const name = /(\w+)\s*\([^(]*(\([^)]*\)[^(]*)*\)\s*$/.exec(head)?.[1] ?? '?';
  return { line: lineAt(code, start + (head.length - head.trimStart().length)), name };
}

function lineAt(code: string, index: number): number {
  return lineCount(`${code.slice(0, index)}.`);
}

/** The same text, of the same length, without what could hide a brace: comments, strings, preprocessor lines. */
function blanked(text: string): string {
  const hiding = /\/\*[\s\S]*?\*\/|\/\/.*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:\\\n|.)*/gm;
  return text.replace(hiding, (found) => found.replace(/[^\n]/g, ' '));
}

const PYTHON = `
import ast, json, sys
found = []
for path, text in json.load(sys.stdin):
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [a.arg for a in node.args.posonlyargs + node.args.args if a.arg not in ('self', 'cls')]
            found.append([f'{path}:{node.lineno} {node.name}', node.end_lineno - node.lineno + 1, len(names)])
json.dump(found, sys.stdout)
`;

function measurePython(texts: ReadonlyMap<string, string>): Sizes {
  const sizes = emptySizes('Python', texts);
  const printed = execFileSync('python3', ['-c', PYTHON], { input: JSON.stringify([...texts]), encoding: 'utf8' });
  const found: Array<[string, number, number]> = JSON.parse(printed);
  for (const [where, lines, parameters] of found) {
    sizes.functions.push({ where, count: lines });
    if (parameters > 2) sizes.manyParameters.push({ where, count: parameters });
  }
  return sizes;
}

function readIfExists(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function table(all: readonly Sizes[]): string {
  const triple = (measured: readonly Measured[]) =>
    measured.length === 0 ? '-' : [0.5, 0.9, 1].map((fraction) => percentile(measured, fraction)).join('/');
  const budget = ({ p50, p90, max }: { p50: number; p90: number; max: number }) => `${p50}/${p90}/${max}`;
  const rows = [
    ['', 'files', 'file lines', 'functions', 'function lines', 'exports', '> 2 parameters', 'any', 'non-null'],
    ...all.map((sizes) => [
      sizes.language,
      `${sizes.files.length}`,
      triple(sizes.files),
      `${sizes.functions.length}`,
      triple(sizes.functions),
      triple(sizes.exports),
      `${sizes.manyParameters.length}`,
      `${sizes.any.length}`,
      `${sizes.nonNull.length}`,
    ]),
    ['budget', '', budget(BUDGET.file), '', budget(BUDGET.function), `${BUDGET.exports.max}`, '', '0', '0'],
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `Lines and exports as p50/p90/max\n${lines.join('\n')}\n`;
}

if (import.meta.main) {
  const all = measure();
  const over = overBudget(all);
  process.stdout.write(table(all));
  if (process.argv.includes('--list')) {
    for (const { where, count } of all.flatMap((sizes) => sizes.manyParameters)) {
      process.stdout.write(`${where}: ${count} parameters\n`);
    }
  }
  for (const line of over) process.stderr.write(`${line}\n`);
  process.exitCode = over.length > 0 ? 1 : 0;
}
