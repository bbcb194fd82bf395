import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { PackageJson } from '../detect/package-json.ts';
import type { InstalledPackage } from './production.ts';

const lockedSchema = z.looseObject({ version: z.string().optional(), link: z.boolean().optional() });
const lockSchema = z.looseObject({ packages: z.record(z.string(), lockedSchema) });

/** Lock files of npm, which it reads in this order. */
export const NPM_LOCKS = ['npm-shrinkwrap.json', 'package-lock.json'];
/** Those of others, which npm does not read, and what makes node_modules from them. */
export const OTHER_LOCKS: Readonly<Record<string, string>> = {
  'pnpm-lock.yaml': 'pnpm install',
  'yarn.lock': 'yarn install',
  'bun.lock': 'bun install',
  'bun.lockb': 'bun install',
};

/**
 * What tells that installed packages are not those of npm's lock file; undefined where they are, or no lock file says.
 * @param names of the files at the top of the folder
 */
export async function staleness(
  folder: string,
  installed: readonly InstalledPackage[],
  { manifest, names }: { manifest: PackageJson; names: ReadonlySet<string> },
): Promise<string | undefined> {
  const name = NPM_LOCKS.find((lock) => names.has(lock));
  if (name === undefined) return undefined;
  const lock = await readLock(join(folder, name));
  if (lock === undefined) return `${name} is not one of npm 7 or later`;
  const root = lock.packages[''];
  const wanted = { ...manifest.dependencies, ...manifest.optionalDependencies };
  const locked = z
    .record(z.string(), z.string())
    .catch({})
    .parse({ ...Object(root?.dependencies), ...Object(root?.optionalDependencies) });
  const changed = Object.keys(wanted).find((dependency) => wanted[dependency] !== locked[dependency]);
  if (changed !== undefined) return `${name} has not followed package.json ("${changed}")`;
  const other = installed.find(
    ({ path, version }) => lock.packages[path]?.link !== true && lock.packages[path]?.version !== version,
  );
  if (other === undefined) return undefined;
  const expected = lock.packages[other.path]?.version;
  return `${other.name} ${other.version} is installed, and ${name} has ${expected ?? 'none there'}`;
}

async function readLock(path: string): Promise<z.output<typeof lockSchema> | undefined> {
  try {
    return lockSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    // An old form, or damaged: npm in the runtime will say what it makes of it.
    return undefined;
  }
}
