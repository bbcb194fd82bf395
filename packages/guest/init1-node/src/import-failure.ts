/** Why a module could not be loaded, told apart for the author of the program. */
import { pathToFileURL } from 'url';
import type { Entry } from './entrypoint.ts';
import { codeOf, Failure, stackOf, summaryOf } from './failures.ts';

const MISSING = ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'];

/** The Failure for what was thrown while `entry` was loaded: MODULE_NOT_FOUND or IMPORT_FAILED. */
export function importFailure(error: unknown, entry: Entry, options: { isModule: boolean }): Failure {
  const message = `Cannot load "${entry.entrypoint}"`;
  if (MISSING.includes(codeOf(error) ?? '')) {
    return new Failure('MODULE_NOT_FOUND', `${message}: ${missing(error)}`, { detail: stackOf(error) });
  }
  const isBare = options.isModule && isBareSyntaxError(error);
  const detail = isBare ? excerpt(entry) + summaryOf(error) : stackOf(error);
  const place = error instanceof SyntaxError ? placeIn(detail) : '';
  const state = `${summaryOf(error)}${place}, expected ${remedy(error)}`;
  return new Failure('IMPORT_FAILED', `${message}: ${state}`, { detail });
}

function missing(error: unknown): string {
  const text = error instanceof Error ? error.message : '';
  const name = /Cannot find (?:module|package) '([^']+)'/.exec(text)?.[1] ?? 'unknown';
  const isFile = /^([./]|file:)/.test(name);
  return isFile
    ? `the module "${name}", which it imports, is missing, expected that file in the code`
    : `the dependency "${name}" is missing, expected it in package.json and in node_modules`;
}

function remedy(error: unknown): string {
  if (/outside a module|Unexpected token 'export'/.test(String(error))) {
    return '"type": "module" in package.json, or the extension .mjs';
  }
  return 'a module that loads';
}

/** A syntax error whose stack says neither file nor line: Node keeps them apart for ES modules, and only prints them. */
function isBareSyntaxError(error: unknown): boolean {
  return error instanceof SyntaxError && String(error.stack).startsWith('SyntaxError');
}

/**
 * File, line and source of a syntax error in an ES module, as another Node prints them. Nothing of the program runs
 * there: its modules are parsed, and then an import that cannot be linked stops it.
 */
function excerpt(entry: Entry): string {
  const { spawnSync } = require('child_process') as typeof import('child_process');
  const source = `import ${JSON.stringify(pathToFileURL(entry.path).href)};import {none} from 'data:text/javascript,';`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
  return /^((?:file:)?\/[^\n]*:\d+\n[\s\S]*?\n)SyntaxError/m.exec(String(stderr))?.[1] ?? '';
}

/** ` at server.js:3`, from the line that an excerpt begins with. */
function placeIn(detail: string): string {
  const place = /^(?:file:\/\/)?(\/\S*:\d+)$/m.exec(detail)?.[1];
  return place === undefined ? '' : ` at ${place}`;
}
