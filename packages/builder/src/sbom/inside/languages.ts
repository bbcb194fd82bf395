import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseControl } from './control.ts';
import { allOf, type Refer, spdxExpression } from './licences.ts';
import type { Tree } from './tree.ts';

/** A package of a language's own registry. */
export interface LanguagePackage {
  readonly kind: 'npm' | 'pypi';
  readonly name: string;
  readonly version: string;
  /** An expression of SPDX; undefined where the package names none. */
  readonly licence: string | undefined;
  /** Where it says so, in the image; undefined for what came of a tarball. */
  readonly path: string | undefined;
}

/** A tarball of npm that the recipe took files of, as it lies in the box. */
export interface Tarball {
  readonly name: string;
  readonly version: string;
  readonly path: string;
}

const MAX_METADATA_BYTES = 1024 * 1024;

/** What a `package.json` says; undefined where it is none. */
export function readNpm(text: string, { refer, path }: { refer: Refer; path?: string }): LanguagePackage | undefined {
  const said = objectOf(text);
  const { name, version, license } = said;
  if (typeof name !== 'string' || typeof version !== 'string' || !isName(name) || !isName(version)) return undefined;
  const named = typeof license === 'string' ? license : objectName(license);
  return { kind: 'npm', name, version, licence: expressionOf(named, refer), path };
}

/** What the `METADATA` of a wheel says; undefined where it is none. */
export function readWheel(text: string, { refer, path }: { refer: Refer; path: string }): LanguagePackage | undefined {
  const [head] = parseControl(text);
  const name = head?.get('name') ?? '';
  const version = head?.get('version') ?? '';
  if (!isName(name) || !isName(version)) return undefined;
  // The older field is free text, often all of a licence: only a line of it is a name.
  const licence = head?.get('license-expression') ?? head?.get('license');
  return { kind: 'pypi', name, version, licence: expressionOf(licence?.split('\n')[0], refer), path };
}

/** Packages of registries that lie in a tree. */
export async function languagesIn(
  tree: Tree,
  { npm, wheels }: { npm: readonly string[]; wheels: readonly string[] },
  refer: Refer,
): Promise<LanguagePackage[]> {
  const found: LanguagePackage[] = [];
  for (const path of npm) {
    const one = readNpm(await tree.read(path, MAX_METADATA_BYTES), { refer, path: shown(path) });
    if (one !== undefined) found.push(one);
  }
  for (const path of wheels) {
    const one = readWheel(await tree.read(path, MAX_METADATA_BYTES), { refer, path: shown(path) });
    if (one !== undefined) found.push(one);
  }
  return found;
}

/** A package of which a recipe took files: its licence stands in the tarball. */
export async function ofTarball({ name, version, path }: Tarball, refer: Refer): Promise<LanguagePackage> {
  const args = ['-xzOf', path, '--wildcards', '--no-wildcards-match-slash', '*/package.json'];
  const options = { maxBuffer: MAX_METADATA_BYTES };
  // A tarball without one has no licence that can be told, which is no fault of the image.
  const text = await promisify(execFile)('tar', args, options).then(
    ({ stdout }) => stdout,
    () => '',
  );
  const { license } = objectOf(text);
  const named = typeof license === 'string' ? license : objectName(license);
  return { kind: 'npm', name, version, licence: expressionOf(named, refer), path: undefined };
}

function expressionOf(named: string | undefined, refer: Refer): string | undefined {
  if (named === undefined || named.trim() === '' || /^(UNLICENSED|UNKNOWN)$|^SEE LICENSE/i.test(named))
    return undefined;
  return allOf([spdxExpression(named, { refer, textOf: () => undefined })]);
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Old packages name their licence so: `{ "type": "MIT", "url": ... }`. */
function objectName(license: unknown): string | undefined {
  if (typeof license !== 'object' || license === null || !('type' in license)) return undefined;
  return typeof license.type === 'string' ? license.type : undefined;
}

function isName(text: string): boolean {
  return /^[^\s\0]{1,214}$/.test(text);
}

function shown(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}
