import { realpath } from 'node:fs/promises';
import type { PackageJson } from '../detect/package-json.ts';
import { CliError } from '../errors.ts';
import type { IgnoreRules } from '../pack/ignore.ts';
import { type SourceFile, type SourceFolder, walkModules } from '../pack/walk.ts';
import { OTHER_LOCKS, staleness } from './lock.ts';
import { unfitModules } from './native.ts';
import { hasModules, productionModules } from './production.ts';

/** Where the packages of a program for Node.js come from. */
export type ModulesChoice =
  | { readonly from: 'nowhere' }
  | {
      readonly from: 'folder';
      readonly files: readonly SourceFile[];
      readonly packages: number;
      readonly notes: readonly string[];
    }
  | { readonly from: 'install'; readonly why: string; readonly notes: readonly string[] };

export interface ModulesOptions {
  /** The program's folder. */
  path: string;
  manifest: PackageJson;
  rules: IgnoreRules;
  /** True to install in any case, false never to, undefined to find out. */
  install: boolean | undefined;
  signal: AbortSignal;
}

/**
 * Decides between the packages that are installed in the folder and installing them anew inside the runtime. Those of
 * the folder are taken when they are what package.json and the lock file ask for, and fit the runtime.
 * @throws CliError `MODULES_MISSING` if they are to be taken and are not all there
 */
export async function chooseModules(folder: SourceFolder, options: ModulesOptions): Promise<ModulesChoice> {
  const { manifest, install } = options;
  const wanted = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
  if (wanted.length === 0) return { from: 'nowhere' };
  if (install === true) return installing('as told', folder);
  const taken = await takeFolder(folder, options);
  if (typeof taken !== 'string') return taken;
  if (install === undefined) return installing(taken, folder);
  throw new CliError('MODULES_MISSING', { operands: { path: options.path, found: taken } });
}

/** The installed packages, or why they are not to be taken. */
async function takeFolder(folder: SourceFolder, options: ModulesOptions): Promise<ModulesChoice | string> {
  const { manifest, rules, install, signal } = options;
  if (!(await hasModules(options.path))) return 'there is no node_modules';
  if (rules.ignoresModule('node_modules', { isFolder: true })) return '.vmletignore leaves node_modules out';
  const path = await realpath(options.path);
  const { packages, links, missing } = await productionModules(path, manifest, signal);
  if (missing.length > 0) return `${missing.slice(0, 3).join(', ')} is not installed`;
  const names = new Set(folder.files.map((file) => file.path));
  const stale = install === false ? undefined : await staleness(path, packages, { manifest, names });
  if (stale !== undefined) return stale;
  const { files } = await walkModules(options.path, [...packages.map((each) => each.path), ...links], {
    rules,
    signal,
  });
  const unfit = await unfitModules(files);
  if (unfit.length > 0 && install === undefined) return unfit.slice(0, 3).join(', ');
  const notes = unfit.map((fault) => `${fault}: it may not load`);
  return { from: 'folder', files, packages: packages.length, notes };
}

function installing(why: string, { files }: SourceFolder): ModulesChoice {
  const other = Object.entries(OTHER_LOCKS).find(([lock]) => files.some((file) => file.path === lock));
  if (other === undefined || files.some((file) => file.path === 'package-lock.json'))
    return { from: 'install', why, notes: [] };
  const [lock, command] = other;
  const note = `npm does not read ${lock}: it chooses versions by package.json; "${command}" before deploying takes the locked ones`;
  return { from: 'install', why, notes: [note] };
}
