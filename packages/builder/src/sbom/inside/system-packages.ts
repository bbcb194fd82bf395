import { type Paragraph, parseControl } from './control.ts';

/** What a system's package manager has installed. */
export interface SystemPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** What it was built from; equal to `name` and `version` where nothing else is said. */
  readonly source: { readonly name: string; readonly version: string };
  readonly maintainer: string | undefined;
  readonly homepage: string | undefined;
  readonly summary: string | undefined;
  /** What its files take, as its package says; undefined where it does not. */
  readonly installedBytes: number | undefined;
  /** Declared by the package itself, which only apk has. */
  readonly licence: string | undefined;
}

/** A package with a longer name or version is left out: no manager makes such. */
const MAX_NAME_CHARS = 256;
/** What is for people to read is cut behind so much. */
const MAX_TEXT_CHARS = 512;

/** Packages of dpkg's `status`, or of a file of `status.d`, that are installed; sorted by name and architecture. */
export function readDpkgStatus(text: string): SystemPackage[] {
  return sorted(parseControl(text).flatMap((fields) => ofDpkg(fields) ?? []));
}

function ofDpkg(fields: Paragraph): SystemPackage | undefined {
  const name = fields.get('package');
  const version = fields.get('version');
  // Files of status.d have no status: what stands there is installed.
  const status = fields.get('status') ?? 'install ok installed';
  if (!isNamed(name) || !isNamed(version) || !/ (installed|unpacked|half-configured)$/.test(status)) return undefined;
  const [, source = name, sourceVersion = version] = /^(\S+)(?: \((\S+)\))?$/.exec(fields.get('source') ?? '') ?? [];
  const size = fields.get('installed-size');
  return {
    ...{ name, version, source: { name: source, version: sourceVersion } },
    architecture: fields.get('architecture') ?? 'all',
    maintainer: clipped(fields.get('maintainer')),
    homepage: clipped(fields.get('homepage')),
    summary: clipped(fields.get('description')?.split('\n')[0]),
    installedBytes: size !== undefined && /^\d{1,10}$/.test(size) ? Number(size) * 1024 : undefined,
    licence: undefined,
  };
}

/** Packages of apk's `installed`, sorted by name and architecture. */
export function readApkInstalled(text: string): SystemPackage[] {
  const packages: SystemPackage[] = [];
  for (const block of text.split(/\n\n+/)) {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) if (line[1] === ':') fields.set(line.slice(0, 1), line.slice(2).trim());
    const name = fields.get('P');
    const version = fields.get('V');
    if (!isNamed(name) || !isNamed(version)) continue;
    const size = fields.get('I');
    packages.push({
      ...{ name, version, source: { name: fields.get('o') ?? name, version } },
      architecture: fields.get('A') ?? 'noarch',
      maintainer: clipped(fields.get('m')),
      homepage: clipped(fields.get('U')),
      summary: clipped(fields.get('T')),
      installedBytes: size !== undefined && /^\d{1,13}$/.test(size) ? Number(size) : undefined,
      licence: fields.get('L'),
    });
  }
  return sorted(packages);
}

function clipped(text: string | undefined): string | undefined {
  return text?.slice(0, MAX_TEXT_CHARS);
}

function isNamed(text: string | undefined): text is string {
  return text !== undefined && text !== '' && text.length <= MAX_NAME_CHARS && !/\s/.test(text);
}

function sorted(packages: SystemPackage[]): SystemPackage[] {
  const keyed = packages.map((one) => ({ one, key: `${one.name}\0${one.architecture}\0${one.version}` }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ one }) => one);
}
