/** From an entrypoint such as `server.js` or `dist/app.js:handler` to the file that it names. */
import { readdirSync, readFileSync, realpathSync, statSync } from 'fs';
import { basename, dirname, resolve } from 'path';
import { Failure } from './failures.ts';
import { nearNames } from './near.ts';

const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];
/** Conditions of package.json's `exports` under which a program is run. */
const CONDITIONS = ['node', 'import', 'module-sync', 'require', 'default'];

export interface Entry {
  /** As the message wrote it. */
  entrypoint: string;
  /** The real path of the module. */
  path: string;
  /** The name after `:`; the default export where there is none. */
  exportName: string | undefined;
}

/**
 * Finds the module of `entrypoint`: a file, a file without its extension, or a folder, which stands for what its
 * package.json names. Paths are relative to `folder`.
 * @throws Failure ENTRYPOINT_NOT_FOUND
 */
export function findEntry(entrypoint: string, folder: string): Entry {
  const [, named = '', exportName] = /^([\s\S]*?)(?::([A-Za-z_$][\w$]*))?$/.exec(entrypoint) ?? [];
  const wanted = resolve(folder, named);
  const found = kindOf(wanted) === 'folder' ? inFolder(wanted, entrypoint) : withExtension(wanted);
  if (found === undefined) throw notFound(entrypoint, wanted);
  return { entrypoint, path: realpathSync(found), exportName };
}

function inFolder(folder: string, entrypoint: string): string | undefined {
  for (const named of namedByManifest(folder, entrypoint)) {
    const found = withExtension(resolve(folder, named));
    if (found !== undefined) return found;
    const state = `package.json names "${named}", which is missing, expected a module`;
    const near = nearNames(basename(named), modulesIn(dirname(resolve(folder, named))), 'files');
    throw new Failure('ENTRYPOINT_NOT_FOUND', `Cannot find entrypoint "${entrypoint}": ${state}${near}`);
  }
  return withExtension(resolve(folder, 'index'));
}

/** The first of `exports`, `main` and `module`: the last is for bundlers, and better than nothing. */
function namedByManifest(folder: string, entrypoint: string): string[] {
  const path = resolve(folder, 'package.json');
  if (kindOf(path) !== 'file') return [];
  let manifest: unknown;
  try {
    manifest = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const state = `"${path}" does not parse (${error instanceof Error ? error.message : error}), expected JSON`;
    throw new Failure('ENTRYPOINT_NOT_FOUND', `Cannot find entrypoint "${entrypoint}": ${state}`);
  }
  const { exports, main, module } = Object(manifest) as Record<string, unknown>;
  return [ownExport(exports), main, module].filter((name): name is string => typeof name === 'string').slice(0, 1);
}

function ownExport(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports;
  if (typeof exports !== 'object' || exports === null) return undefined;
  const entries: Array<[string, unknown]> = Object.entries(exports);
  for (const [key, value] of entries) {
    const found = key === '.' || Array.isArray(exports) || CONDITIONS.includes(key) ? ownExport(value) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function withExtension(path: string): string | undefined {
  const kind = kindOf(path);
  if (kind === 'file') return path;
  const found = EXTENSIONS.map((extension) => path + extension).find((candidate) => kindOf(candidate) === 'file');
  if (found !== undefined || kind !== 'folder') return found;
  return EXTENSIONS.map((extension) => resolve(path, `index${extension}`)).find(
    (candidate) => kindOf(candidate) === 'file',
  );
}

function kindOf(path: string): 'file' | 'folder' | undefined {
  try {
    const stat = statSync(path);
    return stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : undefined;
  } catch {
    return undefined;
  }
}

function notFound(entrypoint: string, wanted: string): Failure {
  const isFolder = kindOf(wanted) === 'folder';
  const state = isFolder
    ? `neither package.json nor index.js in "${wanted}" names a module, expected one of them`
    : `no file "${wanted}", expected a module${nearNames(basename(wanted), modulesIn(dirname(wanted)), 'files')}`;
  return new Failure('ENTRYPOINT_NOT_FOUND', `Cannot find entrypoint "${entrypoint}": ${state}`);
}

function modulesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /\.[cm]?[jt]s$/.test(name) && !name.endsWith('.d.ts'));
  } catch {
    return [];
  }
}
