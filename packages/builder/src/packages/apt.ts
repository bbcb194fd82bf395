import { access } from 'node:fs/promises';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { run } from '@vmlet/host';
import type { Box } from '../box/index.ts';
import type { Recipe } from '../recipe.ts';
import { foldersIn, type Sources } from './sources.ts';

/** The keys that the machine trusts for sources that name none of their own; what others name is below /usr, too. */
const MACHINE_KEYS = ['/etc/apt/trusted.gpg', '/etc/apt/trusted.gpg.d', '/etc/apt/keyrings'];
/** How this machine reaches a mirror: proxies, timeouts, certificates. Nothing else of its settings counts. */
const REACHING = /^Acquire::(http|https|ftp|socks|Retries|ForceIPv4|ForceIPv6|By-Hash)\b/i;
const HOME = '/work/apt';
const CONFIGURATION = `
Dir::State "${HOME}/state";
Dir::State::status "${HOME}/status";
Dir::Cache "${HOME}/cache";
Dir::Log "${HOME}/log";
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "${HOME}/empty";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "${HOME}/preferences.d";
APT::Architectures { "amd64"; };
APT::Architecture "amd64";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
Acquire::Retries "2";
`;
/**
 * Without this pin, apt satisfies init-system-helpers with usrmerge, which brings all of perl (46 MB) to convert a
 * root filesystem that is laid out merged right from the start.
 */
const NO_USRMERGE = 'Package: usrmerge\nPin: release *\nPin-Priority: -1\n';

/** What apt prefers in a system of this distribution: Ubuntu has no other package that says that /usr is merged. */
export function preferencesOf({ distribution }: Pick<Recipe, 'distribution'>): string {
  return distribution === 'ubuntu' ? '' : NO_USRMERGE;
}

/** An apt of a box's own: it knows no package of this machine, and trusts only the keys that it is told. */
export interface Apt {
  /** For each of its commands. */
  env: Record<string, string>;
  /** For those that reach mirrors. */
  readOnly: Record<string, string>;
}

export interface AptOptions {
  /** Files of keys on the host, for sources that name `/keys/0.gpg` and on. */
  keyrings: readonly string[];
  /** The system that is added to: its dpkg's status, in the box. */
  status?: string | undefined;
  /** What apt prefers, as its preferences say it. */
  preferences?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Sets apt up in a box, without sources. */
export async function prepareApt(box: Box, { keyrings, status, preferences = '', signal }: AptOptions): Promise<Apt> {
  const folders = ['state/lists/partial', 'cache/archives/partial', 'log', 'empty', 'preferences.d'];
  const script = `rm -rf apt && mkdir -p ${folders.map((name) => `apt/${name}`).join(' ')} && cat > apt/apt.conf`;
  const configuration = `${await reachingOfMachine(signal)}${CONFIGURATION}`;
  await box.run(['sh', '-c', script], { input: Readable.from([configuration]), signal });
  await box.run(['sh', '-c', 'cat > apt/preferences.d/vmlet'], { input: Readable.from([preferences]), signal });
  // Only what can be read at all: it is nobody there who reads it.
  await box.run(['sh', '-c', status === undefined ? ': > apt/status' : 'cp "$1" apt/status', 'sh', status ?? ''], {
    signal,
  });
  const readOnly: Record<string, string> = {};
  for (const path of MACHINE_KEYS) if (await exists(path)) readOnly[path] = path;
  for (const [index, path] of keyrings.entries()) readOnly[path] = keyringInBox(index, path);
  return { env: { APT_CONFIG: `${HOME}/apt.conf` }, readOnly };
}

/** Gives apt the sources that its next commands use. */
export async function useSources(box: Box, apt: Apt, { sources, signal }: UseOptions): Promise<Apt> {
  const path = `${HOME}/vmlet.${sources.extension}`;
  await box.run(['sh', '-c', 'cat > "$1"', 'sh', path], { input: Readable.from([sources.text]), signal });
  const setting = `Dir::Etc::SourceList "${path}";\n`;
  await box.run(['sh', '-c', 'cat >> apt/apt.conf'], { input: Readable.from([setting]), signal });
  const folders = Object.fromEntries(foldersIn(sources).map((folder) => [folder, folder]));
  return { env: apt.env, readOnly: { ...apt.readOnly, ...folders } };
}

interface UseOptions {
  sources: Sources;
  signal?: AbortSignal | undefined;
}

/** Where a keyring of a recipe is in the box; apt tells binary from armoured keys by the name. */
export function keyringInBox(index: number, path: string): string {
  return `/keys/${index}${extname(path) === '.asc' ? '.asc' : '.gpg'}`;
}

async function reachingOfMachine(signal: AbortSignal | undefined): Promise<string> {
  const dump = await run('apt-config', ['dump'], { signal });
  const kept = dump.split('\n').filter((line) => REACHING.test(line));
  return kept.map((line) => `${line}\n`).join('');
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
