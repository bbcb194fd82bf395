import { readFile } from 'node:fs/promises';
import { CommandFailed } from '@vmlet/host';
import type { Box } from '../box/index.ts';
import { RecipeError } from '../recipe.ts';

/** Where Debian 12 and later keep the sources that the machine is set up with; older ones use sources.list. */
const MACHINE_SOURCES = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'];
const APT_HELPER = '/usr/lib/apt/apt-helper';
/** Names that a machine may use for its suite instead of the code name. */
const ALIASES = ['stable', 'oldstable', 'testing'];
/** What of a release is taken over to another; backports are a choice for one release. */
const POCKETS = /^(?<base>.+?)(?<pocket>-updates|-security)?$/;

export interface SourcesOptions {
  box: Box;
  /** Where apt's configuration is, in the box. */
  env: Record<string, string>;
  /** The machine's own, unless told: deb822 (`.sources`) or one line each (`.list`). */
  machineSources?: readonly string[];
  /** Code name of the machine's release; the machine's own, unless told. */
  machineSuite?: string;
  signal?: AbortSignal | undefined;
}

/** Sources as apt reads them. */
export interface Sources {
  text: string;
  extension: 'sources' | 'list';
}

/**
 * The sources of a suite, at the mirrors and with the keys of this machine, in the machine's own style. Of its
 * -updates and -security those that the mirrors have.
 * @returns undefined where the machine has no sources at all
 * @throws RecipeError when the machine's sources have nothing of Debian's; CommandFailed
 */
export async function sourcesOf(suite: string, options: SourcesOptions): Promise<Sources | undefined> {
  const machineSuite = options.machineSuite ?? (await codeName());
  for (const path of options.machineSources ?? MACHINE_SOURCES) {
    const text = await readIfExists(path);
    if (text === undefined) continue;
    const extension = path.endsWith('.sources') ? 'sources' : 'list';
    if (machineSuite === suite) return { text, extension };
    const kept = await translate(extension === 'sources' ? stanzasOf(text) : text.split('\n'), {
      ...options,
      suite,
      machineSuite,
    });
    if (kept.length === 0) {
      const wanted = `expected "${machineSuite}", whose mirrors are used for it`;
      throw new RecipeError(`Cannot install "${suite}": "${path}" names no suite of Debian, ${wanted}`);
    }
    return { text: `${kept.join('\n')}\n`, extension };
  }
  return undefined;
}

export interface MirrorOptions extends Pick<SourcesOptions, 'box' | 'env' | 'signal'> {
  suite: string;
  components: readonly string[];
  /** Path in the box of the keys that sign what the mirror has. */
  keyring: string;
}

/** The sources of a suite at one mirror, with those of its -updates and -security that it has. */
export async function sourcesAt(url: string, options: MirrorOptions): Promise<Sources> {
  const suites = [options.suite];
  for (const pocket of ['-updates', '-security']) {
    const name = `${options.suite}${pocket}`;
    if (await hasSuite(url, name, options)) suites.push(name);
  }
  const { components, keyring } = options;
  const text = `Types: deb
URIs: ${url}
Suites: ${suites.join(' ')}
Components: ${components.join(' ')}
Signed-By: ${keyring}
`;
  return { text, extension: 'sources' };
}

/** The addresses that sources name, each once, in their order. */
export function addressesIn({ text, extension }: Sources): string[] {
  const entries = extension === 'sources' ? stanzasOf(text) : text.split('\n');
  const found = entries.flatMap((entry) => partsOf(entry)?.uris ?? []);
  return [...new Set(found.map((uri) => uri.replace(/\/*$/, '/')))];
}

/** Folders of this machine that sources name as mirrors. */
export function foldersIn(sources: Sources): string[] {
  return addressesIn(sources).flatMap((uri) => /^(?:file|copy):(?:\/\/)?(\/.*?)\/*$/.exec(uri)?.[1] ?? []);
}

/** The stanzas of a deb822 file, without comments. */
function stanzasOf(text: string): string[] {
  return text
    .replace(/^#.*\n?/gm, '')
    .split(/\n\s*\n/)
    .filter((stanza) => stanza.trim() !== '');
}

/** What a line or a stanza says of packages; undefined where it says something else, or nothing. */
function partsOf(entry: string) {
  const line = /^(deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?)(\S+)(\s+)(\S+)(.*)$/.exec(entry);
  if (line) return { line, uris: [line[2] ?? ''], suites: [line[4] ?? ''] };
  const member = (name: string) =>
    new RegExp(`^${name}:\\s*(.*(?:\\n[ \\t]+.*)*)`, 'im').exec(entry)?.[1]?.split(/\s+/) ?? [];
  const uris = member('URIs');
  return uris.length === 0 ? undefined : { line, uris, suites: member('Suites') };
}

interface Translation extends SourcesOptions {
  suite: string;
  machineSuite: string;
}

async function translate(entries: readonly string[], options: Translation): Promise<string[]> {
  const kept: string[] = [];
  for (const entry of entries) {
    const parts = partsOf(entry);
    if (parts === undefined) continue;
    const { line, uris, suites } = parts;
    const found = await suitesAt(uris[0] ?? '', suites, options);
    if (found.length === 0) continue;
    if (line) kept.push(`${line[1]}${line[2]}${line[3]}${found[0]}${line[5]}`);
    else kept.push(`${entry.trim().replace(/^Suites:.*(?:\n[ \t]+.*)*/im, `Suites: ${found.join(' ')}`)}\n`);
  }
  return kept;
}

/** The suites that stand for the machine's, as far as the mirror has them. */
async function suitesAt(uri: string, suites: readonly string[], options: Translation): Promise<string[]> {
  const found: string[] = [];
  for (const machineSuite of suites) {
    const { base = '', pocket = '' } = POCKETS.exec(machineSuite)?.groups ?? {};
    if (base !== options.machineSuite && !ALIASES.includes(base)) continue;
    const name = `${options.suite}${pocket}`;
    // Without the release itself nothing can be built, which apt says best.
    if (pocket === '' || (await hasSuite(uri, name, options))) found.push(name);
  }
  return found;
}

/** Asks by apt's own helper, so that the machine's proxies and certificates are used. */
async function hasSuite(
  uri: string,
  suite: string,
  { box, env, signal }: Pick<SourcesOptions, 'box' | 'env' | 'signal'>,
): Promise<boolean> {
  const address = uri.replace(/\/*$/, '/');
  const folders = foldersIn({ text: `deb ${address} ${suite} main`, extension: 'list' });
  try {
    await box.run([APT_HELPER, 'download-file', `${address}dists/${suite}/InRelease`, '/work/InRelease'], {
      env,
      network: true,
      readOnly: Object.fromEntries(folders.map((folder) => [folder, folder])),
      signal,
    });
    return true;
  } catch (error) {
    // Any other failure must not make an image without security updates.
    if (error instanceof CommandFailed && /\b404\b|File not found/.test(error.stderr)) return false;
    throw error;
  }
}

/** Code name of the release that this machine runs; empty where it has none. */
export async function codeName(): Promise<string> {
  const release = (await readIfExists('/etc/os-release')) ?? '';
  return /^VERSION_CODENAME="?([a-z0-9-]+)"?$/m.exec(release)?.[1] ?? '';
}

async function readIfExists(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
