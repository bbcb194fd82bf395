/** Loads a program's module, as Node would load the file it is started with. */
import { readFileSync } from 'fs';
import { dirname, resolve } from 'path';
import { pathToFileURL } from 'url';
import type { Entry } from './entrypoint.ts';
import { becomeMain, moduleInternals } from './environment.ts';
import { Failure } from './failures.ts';
import { importFailure } from './import-failure.ts';

/** What a module gives: its default export (`module.exports` of CommonJS), and all by name. */
export interface Exports {
  main: unknown;
  named: Readonly<Record<string, unknown>>;
}

/**
 * Runs the module of `entry` to its end, top-level await included.
 * @throws Failure TYPESCRIPT_UNSUPPORTED, MODULE_NOT_FOUND, IMPORT_FAILED
 */
export async function importProgram(entry: Entry): Promise<Exports> {
  checkTypeScript(entry);
  becomeMain(entry.path);
  const isModule = isEsModule(entry.path);
  try {
    if (!isModule) return exportsOf(moduleInternals().loadMain(entry.path));
    const namespace: Record<string, unknown> = await import(pathToFileURL(entry.path).href);
    return { main: unwrapped(namespace.default), named: namespace };
  } catch (error) {
    throw importFailure(error, entry, { isModule });
  }
}

function exportsOf(value: unknown): Exports {
  return { main: unwrapped(value), named: Object(value) };
}

/** What TypeScript and bundlers compile to CommonJS has its default export one level down. */
function unwrapped(value: unknown): unknown {
  const { __esModule: isCompiled, default: inner } = Object(value) as { __esModule?: unknown; default?: unknown };
  return isCompiled === true ? inner : value;
}

function checkTypeScript(entry: Entry): void {
  const extension = /\.([cm]?ts|[jt]sx)$/.exec(entry.path)?.[1];
  if (extension === undefined) return;
  const { typescript } = process.features as { typescript?: unknown };
  if (!extension.endsWith('x') && typeof typescript === 'string') return;
  const found = extension.endsWith('x')
    ? `no version of Node runs .${extension} files`
    : `Node ${process.versions.node} does not strip types, which Node 22.18 and 24 do`;
  const expected = 'expected a file compiled to JavaScript';
  throw new Failure('TYPESCRIPT_UNSUPPORTED', `Cannot load "${entry.entrypoint}": ${found}, ${expected}`);
}

function isEsModule(path: string): boolean {
  if (/\.c[jt]s$/.test(path)) return false;
  if (/\.m[jt]s$/.test(path)) return true;
  const type = packageType(dirname(path));
  if (type !== undefined) return type === 'module';
  // import() loads TypeScript of either kind; to tell them apart, types would have to be stripped first.
  return path.endsWith('.ts') || hasModuleSyntax(path);
}

/** The `type` of the package that `folder` is in. */
function packageType(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { type } = Object(JSON.parse(readFileSync(resolve(at, 'package.json'), 'utf8'))) as { type?: unknown };
      return type === 'module' || type === 'commonjs' ? type : undefined;
    } catch (error) {
      if (error instanceof SyntaxError || at === dirname(at) || /(^|\/)node_modules$/.test(at)) return undefined;
    }
  }
}

/**
 * Whether a file whose package does not say what it is can only be an ES module, as newer versions of Node find out too.
 * Most CommonJS files have no line that begins like one, and are not compiled twice.
 */
function hasModuleSyntax(path: string): boolean {
  const source = readFileSync(path, 'utf8');
  if (!/^[ \t]*(import|export)\b|\bimport\.meta\b|\bawait\b/m.test(source)) return false;
  const { compileFunction } = require('vm') as typeof import('vm');
  try {
    compileFunction(source.replace(/^#!.*/, ''), ['exports', 'require', 'module', '__filename', '__dirname']);
    return false;
  } catch (error) {
    return /outside a module|Unexpected token 'export'|await is only valid/.test(String(error));
  }
}
