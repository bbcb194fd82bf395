import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { parse, placeOf, type Source, textFiles, walk } from './sources.ts';

/** The one place of timers in TypeScript. */
const TIMERS_LIVE_IN = ['packages/node/src/deadline.ts'];
/** `setImmediate` is none: it waits for the loop's turn, not for a clock. */
const TIMER_NAMES = new Set(['setTimeout', 'setInterval']);
const TIMER_MODULES = /^(node:)?timers(\/promises)?$/;
const TEST_FUNCTIONS = new Set(['test', 'it', 'describe', 'suite', 'bench']);
const UNWANTED_TESTS = new Set(['skip', 'only', 'todo', 'fails', 'skipIf', 'runIf']);

/** What sleeps or ticks in C and in Python; ppoll with a deadline while halting is a wait for events. */
const C_TIMERS = /\b(sleep|usleep|nanosleep|clock_nanosleep|alarm|setitimer|timer_create|timerfd_create)\s*\(/;
const PYTHON_TIMERS = /\b(time\.sleep|asyncio\.sleep|call_later|call_at|threading\.Timer|signal\.alarm|setitimer)\b/;

const sources = textFiles(/^(packages|tests|bench|tools)\/.*\.ts$/);

function timersOf(source: Source): string[] {
  const found: string[] = [];
  walk(parse(source), (node) => {
    if (ts.isSourceFile(node)) return;
    const name = ts.isIdentifier(node) ? node.text : '';
    const isSignal = name === 'timeout' && node.parent.getText().startsWith('AbortSignal.');
    const isImport = ts.isImportDeclaration(node.parent) || ts.isCallExpression(node.parent);
    const isModule = ts.isStringLiteral(node) && isImport && TIMER_MODULES.test(node.text);
    if (TIMER_NAMES.has(name) || isSignal || isModule) found.push(`${placeOf(node)}: ${node.getText()}`);
  });
  return found;
}

/** Tests left out or singled out. A test that finds at run time that it cannot run skips itself and says why. */
function unwantedTestsOf(source: Source): string[] {
  const found: string[] = [];
  walk(parse(source), (node) => {
    if (!ts.isPropertyAccessExpression(node) || !UNWANTED_TESTS.has(node.name.text)) return;
    const call = node.parent;
    const hasReason =
      ts.isCallExpression(call) && call.arguments.length === 2 && ts.isStringLiteralLike(call.arguments[1] ?? call);
    const base = /^\w+/.exec(node.expression.getText())?.[0] ?? '';
    const isContext = /^(context|ctx|t|task)$/.test(base) && !hasReason;
    if (TEST_FUNCTIONS.has(base) || isContext) found.push(`${placeOf(node)}: ${node.getText()}`);
  });
  return found;
}

/** Failures that nobody hears of, without a word why that is right: in the block, on the line, or on the one above. */
function silentCatchesOf(source: Source): string[] {
  const lines = source.text.split('\n');
  const found: string[] = [];
  walk(parse(source), (node) => {
    if (!isSilent(node)) return;
    const file = node.getSourceFile();
    const first = file.getLineAndCharacterOfPosition(node.getStart()).line;
    const last = file.getLineAndCharacterOfPosition(node.getEnd()).line;
    const said = lines.slice(Math.max(0, first - 1), last + 1).some((line) => /(^|\s)(\/\/|\/\*|\*\s)/.test(line));
    if (!said) found.push(placeOf(node));
  });
  return found;
}

function isSilent(node: ts.Node): boolean {
  if (ts.isCatchClause(node)) return node.block.statements.length === 0;
  if (!ts.isArrowFunction(node) && !ts.isFunctionExpression(node)) return false;
  if (!ts.isBlock(node.body) || node.body.statements.length > 0) return false;
  const call = node.parent;
  if (!ts.isCallExpression(call) || !ts.isPropertyAccessExpression(call.expression)) return false;
  const method = call.expression.name.text;
  return (method === 'catch' && call.arguments[0] === node) || (method === 'then' && call.arguments[1] === node);
}

const snippet = (text: string): Source => ({ path: 'snippet.ts', text });

describe('clocks', () => {
  test('TypeScript: has them in deadline.ts only', () => {
    expect(sources.filter(({ path }) => !TIMERS_LIVE_IN.includes(path)).flatMap(timersOf)).toEqual([]);
    expect(sources.filter(({ path }) => TIMERS_LIVE_IN.includes(path)).flatMap(timersOf)).not.toEqual([]);
  });

  test('init0 and init1: have none', () => {
    const shipped = textFiles(/^packages\/guest\/init.*\.(c|h|py)$/).filter(({ path }) => !path.includes('/test/'));
    expect(shipped.length).toBeGreaterThan(0);
    const found = shipped.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => {
        const pattern = path.endsWith('.py') ? PYTHON_TIMERS : C_TIMERS;
        return pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [];
      }),
    );
    expect(found).toEqual([]);
  });

  test.each([
    'setTimeout(f, 1);',
    'globalThis.setInterval(f, 1);',
    'socket.setTimeout(1);',
    'const later = setTimeout;',
    'fetch(url, { signal: AbortSignal.timeout(1) });',
    "import { setTimeout as wait } from 'node:timers/promises';",
    "const { scheduler } = await import('node:timers/promises');",
  ])('check: catches %s', (text) => {
    expect(timersOf(snippet(text))).not.toEqual([]);
  });

  test('check: leaves words alone, in comments, texts and other names', () => {
    expect(timersOf(snippet('// setTimeout\nconst timeout = "setTimeout"; deadline(timeout); x.timeout();'))).toEqual(
      [],
    );
  });
});

describe('tests', () => {
  test('tests: are all run', () => {
    expect(sources.flatMap(unwantedTestsOf)).toEqual([]);
  });

  test('Python tests: are all run', () => {
    const python = textFiles(/(^|\/)test_\w+\.py$/);
    expect(python.filter(({ text }) => /@(unittest|pytest\.mark)\.(skip|xfail|expectedFailure)\w*/.test(text))).toEqual(
      [],
    );
  });

  test.each([
    "test.skip('a', f);",
    "describe.only('a', f);",
    "it.todo('a');",
    "test.concurrent.skip('a', f);",
    "test.skipIf(here)('a', f);",
    'context.skip();',
    'context.skip(here);',
  ])('check: catches %s', (text) => {
    expect(unwantedTestsOf(snippet(text))).not.toEqual([]);
  });

  test('check: leaves a test alone, that skips itself with a reason', () => {
    expect(unwantedTestsOf(snippet("test('a', f); lines.skip(1); context.skip(here, 'no namespaces here');"))).toEqual(
      [],
    );
  });
});

describe('failures', () => {
  test('failures: are never dropped without saying why', () => {
    expect(sources.flatMap(silentCatchesOf)).toEqual([]);
  });

  test.each(['try { f(); } catch {}', 'p.catch(() => {});', 'p.then(f, () => {});', 'p.catch(function () {});'])(
    'check: catches %s',
    (text) => {
      expect(silentCatchesOf(snippet(`const a = 1;\n${text}`))).toHaveLength(1);
    },
  );

  test.each([
    'try { f(); } catch {\n  // Gone already.\n}',
    '// Its failure is seen below.\np.catch(() => {});',
    'p.catch(() => {}); // seen below',
    'p.catch(() => undefined);',
    'on(() => {});',
  ])('check: leaves alone %s', (text) => {
    expect(silentCatchesOf(snippet(`const a = 1;\n${text}`))).toEqual([]);
  });
});
