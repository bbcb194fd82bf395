import { CliError } from '../errors.ts';
import { parseCommand } from './command.ts';
import { planExecutable, shellNeeds } from './executable.ts';
import { checkNodeEntrypoint, findByPackage, isNodeEntrypoint, missingModule, planNodeCommand } from './node.ts';
import { readPackage } from './package-json.ts';
import { type ProgramPlan, RUNTIMES } from './plan.ts';
import { checkPythonEntrypoint, planPythonFile } from './python.ts';
import type { Sources } from './sources.ts';

/** Servers of Python programs, which are told `module:attribute` as the launcher is. */
const PYTHON_SERVERS = new Set(['uvicorn', 'gunicorn', 'hypercorn', 'daphne', 'waitress-serve', 'granian']);
const PYTHON_ENTRYPOINT = /^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?:\(\))?$/;
const STARTS = new Set(['npm start', 'npm run start', 'yarn start', 'yarn run start', 'pnpm start', 'pnpm run start']);
/** Finds a program on PATH; both Debian and busybox have it there. */
const ENV = '/usr/bin/env';
const SHELL = '/bin/sh';

/**
 * What `--entrypoint` names, by its form: `main:app` is for Python, `server.js` for Node.js, a folder what its
 * package.json names, and a path to any other file is an executable.
 * @throws CliError `ENTRYPOINT_MALFORMED`, `EXECUTABLE_UNFIT`, `PACKAGE_UNREADABLE`
 */
export async function planEntrypoint(entrypoint: string, sources: Sources): Promise<ProgramPlan> {
  const path = entrypoint.replace(/^(?:\.\/)+/, '');
  if (/\s/.test(entrypoint) && !sources.has(path)) {
    const expected = 'one name; a program with arguments is for --command';
    throw new CliError('ENTRYPOINT_MALFORMED', { operands: { entrypoint, found: 'it has spaces', expected } });
  }
  if (entrypoint === '.' || entrypoint === './') return await planPackage(entrypoint, sources);
  if (isNodeEntrypoint(path)) return checkNodeEntrypoint(path, sources);
  if (sources.has(path)) return await planFile(path, sources, 'as told');
  if (path.startsWith('/')) return runtimeProgram(path);
  if (path.includes(':')) return checkPythonEntrypoint(path, sources);
  return await planUnknown(entrypoint, path, sources);
}

/** What one file is, by its name and its first bytes. */
export async function planFile(path: string, sources: Sources, reason: string): Promise<ProgramPlan> {
  if (isNodeEntrypoint(path)) return checkNodeEntrypoint(path, sources);
  if (!path.endsWith('.py')) return await planExecutable(path, sources, { reason });
  const served = await planPythonFile(path, sources);
  if (served !== undefined) return { ...served, reason: reason === 'as told' ? reason : served.reason };
  return {
    ...runtimeProgram(ENV, ['python3', path]),
    language: 'python',
    reason: `${path} starts a server of its own`,
  };
}

/**
 * What a command line runs. One that only names a module for a launcher becomes that; anything else is an executable,
 * through a shell where the command needs one.
 * @throws CliError `COMMAND_MALFORMED`, `EXECUTABLE_UNFIT`
 */
export async function planCommand(command: string, sources: Sources, reason: string): Promise<ProgramPlan> {
  const { words, variables, text } = parseCommand(command);
  if (text === '' || words?.length === 0) {
    throw new CliError('COMMAND_MALFORMED', { operands: { command, found: 'there is no program in it' } });
  }
  const known = await plannedElsewhere(text, sources);
  if (known !== undefined) return { ...known, reason, variables: { ...known.variables, ...variables } };
  if (words === undefined) {
    const need = await shellNeeds(text, sources, 'a command for the shell');
    return {
      kind: 'executable',
      entrypoint: SHELL,
      args: ['-c', withBins(text, need.language)],
      reason,
      variables,
      ...need,
    };
  }
  const [first = '', ...args] = words;
  const path = first.replace(/^(?:\.\/)+/, '');
  if (sources.has(path)) return await planExecutable(path, sources, { reason, args, variables });
  if (first.startsWith('./')) {
    throw new CliError('COMMAND_MALFORMED', { operands: { command, found: `no "${path}" is in the folder` } });
  }
  const need = await shellNeeds(text, sources, 'a command');
  if (first.startsWith('/')) return { ...runtimeProgram(first, args), ...need, reason, variables };
  if (need.language === 'node') {
    return {
      kind: 'executable',
      entrypoint: SHELL,
      args: ['-c', withBins(`exec ${text}`, 'node')],
      reason,
      variables,
      ...need,
    };
  }
  return { ...runtimeProgram(ENV, [first === 'python' ? 'python3' : first, ...args]), ...need, reason, variables };
}

/** A command that only says what a launcher is told anyway. */
async function plannedElsewhere(text: string, sources: Sources): Promise<ProgramPlan | undefined> {
  const node = planNodeCommand(text, sources);
  if (node !== undefined) return node;
  if (STARTS.has(text)) {
    const start = (await readPackage(sources))?.scripts.start;
    if (start !== undefined && !STARTS.has(start)) return await planCommand(start, sources, '');
  }
  const [server = ''] = text.split(/\s+/);
  const entrypoint = text.split(/\s+/).find((word) => PYTHON_ENTRYPOINT.test(word));
  const isServed = PYTHON_SERVERS.has(server) && entrypoint !== undefined;
  return isServed ? checkPythonEntrypoint(entrypoint, sources) : undefined;
}

/** Programs of the packages are found as npm's own scripts find them. */
function withBins(text: string, language: 'python' | 'node' | undefined): string {
  return language === 'node' ? `PATH="$PWD/node_modules/.bin:$PATH"; export PATH; ${text}` : text;
}

function runtimeProgram(path: string, args: string[] = []): ProgramPlan {
  const runtimeReason = 'the program is one of the runtime';
  const rest = { language: undefined, runtime: RUNTIMES.python, runtimeReason, variables: {}, notes: [] };
  return { kind: 'executable', entrypoint: path, args, reason: 'as told', ...rest };
}

async function planPackage(entrypoint: string, sources: Sources): Promise<ProgramPlan> {
  const manifest = await readPackage(sources);
  const plan = manifest && findByPackage(manifest, sources);
  if (plan !== undefined) return plan;
  const found = (manifest && missingModule(manifest, sources)) ?? 'no package.json names a module';
  const expected = '"main", "exports" or "scripts.start" in package.json';
  throw new CliError('ENTRYPOINT_MALFORMED', { operands: { entrypoint, found, expected } });
}

/** A module without its extension, or nothing. */
async function planUnknown(entrypoint: string, path: string, sources: Sources): Promise<ProgramPlan> {
  const modules = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'].map((extension) => path + extension);
  const module = modules.find((candidate) => sources.has(candidate));
  if (module !== undefined) return checkNodeEntrypoint(module, sources);
  if (sources.has(`${path}.py`)) return await planFile(`${path}.py`, sources, 'as told');
  const there = sources.top.map((file) => file.path).slice(0, 8);
  const expected = `a file of the folder (at its top: ${there.join(', ') || 'none'}), or MODULE:NAME`;
  throw new CliError('ENTRYPOINT_MALFORMED', {
    operands: { entrypoint, found: `no "${path}" in the folder`, expected },
  });
}
