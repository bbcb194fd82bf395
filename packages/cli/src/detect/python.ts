import { CliError } from '../errors.ts';
import type { SourceFile } from '../pack/walk.ts';
import { modulePlan, type ProgramPlan } from './plan.ts';
import type { Sources } from './sources.ts';

/** Where a program is looked for, the likeliest first; at the top of the folder, then one folder below. */
const MODULES = ['main', 'app', 'asgi', 'wsgi', 'application', 'server', 'api'];
const FACTORIES = ['create_app', 'make_app', 'build_app'];
const FRAMEWORKS =
  'FastAPI|Starlette|Flask|Quart|Litestar|Sanic|Bottle|Falcon|APIFlask|get_asgi_application|get_wsgi_application';
const NAME = /^[A-Za-z_]\w*$/;

/** What was looked for, for the error that says that nothing was found. */
export const PYTHON_EXPECTED = `"app" or another application in ${MODULES.map((name) => `${name}.py`).join(', ')}`;

/** A Python program that is found by a look at its sources; undefined if there is none. Nothing of it is run. */
export async function findPython(sources: Sources): Promise<ProgramPlan | undefined> {
  for (const { file, module } of candidatesOf(sources.files)) {
    const found = findAttribute(await sources.text(file.path));
    if (found !== undefined)
      return modulePlan('python', `${module}:${found.name}`, { reason: `${file.path} has ${found.what}` });
  }
  return undefined;
}

/** Modules that were looked into, for the error that says that nothing was found. */
export function pythonModules({ files }: Sources): string[] {
  return candidatesOf(files).map(({ file }) => file.path);
}

/** A Python file that is named by its path; undefined if it has no application that the launcher could serve. */
export async function planPythonFile(path: string, sources: Sources): Promise<ProgramPlan | undefined> {
  const module = path.replace(/\.py$/, '').split('/');
  if (!module.every((part) => NAME.test(part))) return undefined;
  const found = findAttribute(await sources.text(path));
  const reason = `${path} has ${found?.what ?? 'nothing to serve'}`;
  return found && modulePlan('python', `${module.join('.')}:${found.name}`, { reason });
}

/**
 * Checks the form `module:attribute`, and that the module is in the folder.
 * @throws CliError `ENTRYPOINT_MALFORMED`
 */
export function checkPythonEntrypoint(entrypoint: string, sources: Sources): ProgramPlan {
  const [module = '', attribute = '', ...more] = entrypoint.split(':');
  const names = [...module.split('.'), ...attribute.replace(/\(\)$/, '').split('.')];
  if (more.length > 0 || !names.every((name) => NAME.test(name))) {
    const operands = { entrypoint, found: 'it has another form', expected: 'a module, a colon and a name in it' };
    throw new CliError('ENTRYPOINT_MALFORMED', { operands });
  }
  const path = module.replaceAll('.', '/');
  if (!sources.has(`${path}.py`) && !sources.hasFolder(path)) {
    const modules = sources.top.filter((file) => file.path.endsWith('.py'));
    const there = modules.map((file) => file.path).slice(0, 8);
    const found = `no "${path}.py" in the folder`;
    const expected = `a module of the folder (at its top: ${there.length === 0 ? 'none' : there.join(', ')})`;
    throw new CliError('ENTRYPOINT_MALFORMED', { operands: { entrypoint, found, expected } });
  }
  return modulePlan('python', entrypoint, { reason: 'as told' });
}

/** The application that a module's source makes or imports; undefined if none is seen. For top-level lines only. */
export function findAttribute(source: string): { name: string; what: string } | undefined {
  const framework = new RegExp(`^(\\w+)[ \\t]*(?::[^=\\n]+)?=[ \\t]*(?:\\w+\\.)*(${FRAMEWORKS})\\b[^\\n]*`, 'gm');
  const made = [...source.matchAll(framework)].map((match) => ({ name: match[1] ?? '', maker: match[2] ?? '' }));
  const bestMade = made.find(({ name }) => name === 'app' || name === 'application') ?? made[0];
  if (bestMade !== undefined) return { name: bestMade.name, what: `"${bestMade.name}", made with ${bestMade.maker}` };
  for (const name of ['app', 'application']) {
    if (new RegExp(`^${name}[ \\t]*(?::[^=\\n]+)?=(?!=)`, 'm').test(source)) return { name, what: `"${name}"` };
    if (new RegExp(`^(?:async[ \\t]+)?def[ \\t]+${name}[ \\t]*\\(`, 'm').test(source)) {
      return { name, what: `the function "${name}"` };
    }
    if (new RegExp(`^from[ \\t]+\\S+[ \\t]+import[ \\t(]+(?:.*[ ,])?${name}\\b(?![ \\t]+as\\b)`, 'm').test(source)) {
      return { name, what: `"${name}", which it imports` };
    }
  }
  for (const name of FACTORIES) {
    const parameters = new RegExp(`^def[ \\t]+${name}[ \\t]*\\(([^)]*)\\)`, 'm').exec(source)?.[1];
    if (parameters !== undefined && needsNothing(parameters))
      return { name: `${name}()`, what: `the factory "${name}"` };
  }
  return undefined;
}

/** Whether a function with these parameters can be called without arguments. */
function needsNothing(parameters: string): boolean {
  return parameters.split(',').every((parameter) => {
    const text = parameter.trim();
    return text === '' || text.startsWith('*') || text === '/' || text.includes('=');
  });
}

interface Candidate {
  file: SourceFile;
  module: string;
}

function candidatesOf(files: readonly SourceFile[]): Candidate[] {
  const depthOf = (path: string) => path.split('/').length;
  const known = files.flatMap((file) => {
    const parts = file.path.replace(/\.py$/, '').split('/');
    const isPython = file.path.endsWith('.py') && parts.length <= 2 && parts.every((part) => NAME.test(part));
    const rank = MODULES.indexOf(parts.at(-1) ?? '');
    return isPython && rank >= 0 ? [{ file, module: parts.join('.'), rank }] : [];
  });
  return known.toSorted((a, b) => depthOf(a.file.path) - depthOf(b.file.path) || a.rank - b.rank);
}
