import { readFile } from 'node:fs/promises';
import { CliError } from './errors.ts';
import type { SourceFile, SourceFolder } from './pack/walk.ts';

/** What a folder's program is, and how that is known. */
export interface Entrypoint {
  /** `module:attribute`, with `()` at the end for a factory. */
  readonly entrypoint: string;
  /** For people: where it was found. */
  readonly reason: string;
}

/** Where a program is looked for, the likeliest first; at the top of the folder, then one folder below. */
const MODULES = ['main', 'app', 'asgi', 'wsgi', 'application', 'server', 'api'];
const FACTORIES = ['create_app', 'make_app', 'build_app'];
const FRAMEWORKS =
  'FastAPI|Starlette|Flask|Quart|Litestar|Sanic|Bottle|Falcon|APIFlask|get_asgi_application|get_wsgi_application';
/** A source file longer than this is not looked into. */
const MAX_SOURCE_BYTES = 1024 * 1024;
const NAME = /^[A-Za-z_]\w*$/;

/**
 * Guesses the entrypoint of a Python program by a look at its sources; nothing of it is run.
 * @throws CliError `ENTRYPOINT_UNKNOWN`, which lists what was looked for
 */
export async function detectEntrypoint(folder: SourceFolder, path: string): Promise<Entrypoint> {
  const candidates = candidatesOf(folder.files);
  for (const { file, module } of candidates) {
    const attribute = findAttribute(await sourceOf(file));
    if (attribute === undefined) continue;
    const { name, what } = attribute;
    return { entrypoint: `${module}:${name}`, reason: `${file.path} has ${what}` };
  }
  const looked = candidates.map(({ file }) => file.path).slice(0, 8);
  const found =
    looked.length === 0
      ? `no ${MODULES.map((name) => `${name}.py`).join(', ')} in it, nor one folder below`
      : `no application in ${looked.join(', ')}`;
  const expected = `"app", "application", "${FACTORIES.join('", "')}", or a FastAPI, Flask or other application, in one of them`;
  throw new CliError('ENTRYPOINT_UNKNOWN', { operands: { path, found, expected } });
}

/**
 * Checks the form of an entrypoint, and that its module is in the folder.
 * @throws CliError `ENTRYPOINT_MALFORMED`
 */
export function checkEntrypoint(entrypoint: string, folder: SourceFolder): Entrypoint {
  const [module = '', attribute = '', ...more] = entrypoint.split(':');
  const names = [...module.split('.'), ...attribute.replace(/\(\)$/, '').split('.')];
  if (more.length > 0 || !names.every((name) => NAME.test(name))) {
    const operands = { entrypoint, found: 'it has another form', expected: 'a module, a colon and a name in it' };
    throw new CliError('ENTRYPOINT_MALFORMED', { operands });
  }
  const path = module.replaceAll('.', '/');
  const isHere = folder.files.some((file) => file.path === `${path}.py` || file.path.startsWith(`${path}/`));
  if (!isHere) {
    const modules = folder.files.filter((file) => !file.path.includes('/') && file.path.endsWith('.py'));
    const there = modules.map((file) => file.path).slice(0, 8);
    const found = `no "${path}.py" in the folder`;
    const expected = `a module of the folder (at its top: ${there.length === 0 ? 'none' : there.join(', ')})`;
    throw new CliError('ENTRYPOINT_MALFORMED', { operands: { entrypoint, found, expected } });
  }
  return { entrypoint, reason: 'as told' };
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

async function sourceOf(file: SourceFile): Promise<string> {
  if (file.sizeBytes > MAX_SOURCE_BYTES) return '';
  return (await readFile(file.absolutePath, 'utf8')).replaceAll('\r\n', '\n');
}
