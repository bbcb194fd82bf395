import * as z from 'zod';
import { CliError } from '../errors.ts';
import type { Sources } from './sources.ts';

const names = z.record(z.string(), z.string()).catch({});

/** What of a package.json matters here. Members of another form than npm's are taken as absent. */
const packageSchema = z.looseObject({
  main: z.string().optional().catch(undefined),
  exports: z.unknown().optional(),
  scripts: names.default({}),
  dependencies: names.default({}),
  optionalDependencies: names.default({}),
  devDependencies: names.default({}),
  peerDependencies: names.default({}),
});

export type PackageJson = z.output<typeof packageSchema>;

/** Conditions of `exports` under which a program is run; the launcher has the same. */
const CONDITIONS = ['node', 'import', 'module-sync', 'require', 'default'];

/**
 * Reads the package.json at the top of a folder; undefined where there is none.
 * @throws CliError `PACKAGE_UNREADABLE`
 */
export async function readPackage(sources: Sources): Promise<PackageJson | undefined> {
  const path = 'package.json';
  return sources.has(path) ? parsePackage(await sources.text(path), path) : undefined;
}

/** @throws CliError `PACKAGE_UNREADABLE` */
export function parsePackage(text: string, path: string): PackageJson {
  try {
    return packageSchema.parse(JSON.parse(text));
  } catch (error) {
    const found = error instanceof SyntaxError ? error.message : 'something else';
    throw new CliError('PACKAGE_UNREADABLE', { operands: { path, found }, cause: error });
  }
}

/** The module that a package names as its own, and the member that does. */
export function namedModule({ exports, main }: PackageJson): { path: string; member: string } | undefined {
  const exported = ownExport(exports);
  const [path, member] = exported === undefined ? [main, 'main'] : [exported, 'exports'];
  return path === undefined ? undefined : { path, member };
}

function ownExport(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports;
  if (typeof exports !== 'object' || exports === null) return undefined;
  for (const [key, value] of Object.entries(exports)) {
    const isOwn = key === '.' || Array.isArray(exports) || CONDITIONS.includes(key);
    const found = isOwn ? ownExport(value) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
