import { posix } from 'node:path';
import { CliError } from '../errors.ts';
import { parseCommand } from './command.ts';
import { namedModule, type PackageJson } from './package-json.ts';
import { modulePlan, type ProgramPlan } from './plan.ts';
import type { Sources } from './sources.ts';

/** Those of JSX are for `--bundle` only. */
const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.tsx', '.jsx'];
const NODE_FILE = /\.(?:[cm]?[jt]s|[jt]sx)$/;
const TYPESCRIPT = /\.[cm]?ts$/;
/** Where a program is looked for when package.json does not say, the likeliest first. */
const MODULES = ['index', 'main', 'server', 'app', 'worker'];
/** What runs one file and adds nothing that the launcher has not. */
const RUNNERS = new Set(['node', 'nodejs', 'tsx', 'ts-node', 'nodemon']);
/** Options of Node.js that change nothing where the launcher runs a program. */
const IDLE_OPTIONS =
  /^--(?:watch(?:-path=.*)?|inspect(?:-brk)?(?:=.*)?|enable-source-maps|experimental-strip-types|no-warnings|no-deprecation|trace-[\w-]+)$/;

/** What was looked for, for the error that says that nothing was found. */
export const NODE_EXPECTED = `"main" or "scripts.start" in package.json, or ${MODULES.map((name) => `${name}.js`).join(', ')}`;

/** Whether an entrypoint has the form of a module for Node.js: `server.js`, `src/app.ts:handler`. */
export function isNodeEntrypoint(entrypoint: string): boolean {
  return NODE_FILE.test(withoutExport(entrypoint));
}

/** A program that package.json names with so many words; undefined if it names none that is there. */
export function findByPackage(manifest: PackageJson, sources: Sources): ProgramPlan | undefined {
  const { start } = manifest.scripts;
  const started = start === undefined ? undefined : planNodeCommand(start, sources);
  if (started !== undefined) return { ...started, reason: `package.json starts it with "${start}"` };
  const named = namedModule(manifest);
  const path = named && moduleAt(named.path, sources);
  if (named === undefined || path === undefined) return undefined;
  return planModule(path, `package.json names it in "${named.member}"`);
}

/** What package.json names and the folder does not have, for the error that says that nothing was found. */
export function missingModule(manifest: PackageJson, sources: Sources): string | undefined {
  const named = namedModule(manifest);
  if (named === undefined || moduleAt(named.path, sources) !== undefined) return undefined;
  const isBuilt = /^(?:\.\/)?(?:dist|build|out|lib|\.output)\//.test(named.path) && 'build' in manifest.scripts;
  const why = isBuilt ? ' (not built yet? npm run build makes it)' : '';
  return `package.json names "${named.path}" in "${named.member}", which is not there${why}`;
}

/** A program in a file of a usual name; undefined if there is none. */
export function findByName(sources: Sources): ProgramPlan | undefined {
  for (const folder of ['', 'src/']) {
    for (const name of MODULES) {
      for (const extension of EXTENSIONS) {
        const path = `${folder}${name}${extension}`;
        if (sources.has(path)) return planModule(path, `${path} is the usual name of a program for Node.js`);
      }
    }
  }
  return undefined;
}

/** A plan for a module of the folder. */
export function planModule(entrypoint: string, reason: string, variables: Record<string, string> = {}): ProgramPlan {
  const isTyped = TYPESCRIPT.test(withoutExport(entrypoint));
  const notes = isTyped ? ['TypeScript: Node.js strips the types as it loads it; --bundle compiles it instead'] : [];
  return modulePlan('node', entrypoint, { reason, variables, notes });
}

/**
 * Checks that an entrypoint names a module of the folder.
 * @throws CliError `ENTRYPOINT_MALFORMED`
 */
export function checkNodeEntrypoint(entrypoint: string, sources: Sources): ProgramPlan {
  const named = withoutExport(entrypoint);
  const path = moduleAt(named, sources);
  if (path === undefined) {
    const there = sources.top.filter((file) => NODE_FILE.test(file.path)).map((file) => file.path);
    const found = `no "${named}" in the folder`;
    const expected = `a module of the folder (at its top: ${there.slice(0, 8).join(', ') || 'none'})`;
    throw new CliError('ENTRYPOINT_MALFORMED', { operands: { entrypoint, found, expected } });
  }
  return planModule(`${path}${entrypoint.slice(named.length)}`, 'as told');
}

/**
 * A command that only runs one module, such as `node server.js`, as the launcher runs it: loaded into the Node.js that
 * is up already. Undefined for every other command, and for a module that is not there.
 */
export function planNodeCommand(command: string, sources: Sources): ProgramPlan | undefined {
  // What goes before builds what is packed here already.
  const last = command.split('&&').at(-1) ?? '';
  const { words, variables } = parseCommand(last);
  const [runner = '', ...rest] = words ?? [];
  if (!RUNNERS.has(runner)) return undefined;
  const [file, ...more] = rest.filter((word) => !IDLE_OPTIONS.test(word) && word !== 'watch');
  if (file === undefined || more.length > 0 || file.startsWith('-')) return undefined;
  const path = moduleAt(file, sources);
  return path === undefined ? undefined : planModule(path, `"${command}"`, variables);
}

/** The path of a module as Node.js would find it; undefined if there is none, or none that the launcher knows. */
function moduleAt(named: string, sources: Sources): string | undefined {
  const path = posix.normalize(named).replace(/\/$/, '');
  if (path.startsWith('../') || path.startsWith('/')) return undefined;
  const base = path === '.' ? '' : path;
  const candidates = [...(NODE_FILE.test(base) ? [base] : []), ...EXTENSIONS.map((extension) => base + extension)];
  const inside = EXTENSIONS.map((extension) => posix.join(base, `index${extension}`));
  return [...candidates, ...inside].find((candidate) => sources.has(candidate));
}

function withoutExport(entrypoint: string): string {
  return entrypoint.replace(/:[A-Za-z_$][\w$]*$/, '');
}
