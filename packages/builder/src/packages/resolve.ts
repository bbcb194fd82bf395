import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CommandFailed } from '@vmlet/host';
import type { Box } from '../box/index.ts';
import { isFull } from '../disk-full.ts';
import type { ReadRecipe, Recipe } from '../recipe.ts';
import { OVERLAY_UNIX_TIME } from '../stages/overlay.ts';
import { type Apt, keyringInBox, preferencesOf, prepareApt, useSources } from './apt.ts';
import { faultOfLists, faultOfPackages } from './faults.ts';
import { type Lock, type LockedPackage, type LockRequest, lockSchema } from './lock.ts';
import { addressesIn, codeName, type Sources, sourcesAt, sourcesOf } from './sources.ts';

/** What a recipe's packages come from where it names no mirror: those of the machine. */
const KEYRINGS = { debian: 'debian-archive-keyring.gpg', ubuntu: 'ubuntu-archive-keyring.gpg' };
const DEFAULT_COMPONENTS = ['main'];

/** A place that packages may come from; its sources are looked at when its turn comes. */
export interface Origin {
  /** The member of the recipe that says so. */
  member: (string | number)[];
  /** In words, for errors. */
  name: string;
  sources(): Promise<Sources>;
}

export interface ResolveOptions {
  box: Box;
  /** A system in the box that is added to: its dpkg's status. */
  status?: string | undefined;
  onLine?: ((line: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** What of a recipe says which packages it wants. */
export async function requestOf(read: ReadRecipe): Promise<LockRequest> {
  const { distribution, suite, architecture, variant, packages, components, npm = [], extends: base } = read.recipe;
  const hashes = await Promise.all(keyringsOf(read).map(async (path) => sha256(await readFile(path))));
  return {
    ...(base === undefined ? {} : { extends: base }),
    ...{ distribution, suite, architecture, variant },
    components: components ?? DEFAULT_COMPONENTS,
    packages: packages.toSorted(),
    keyrings: hashes,
    npm: npm.map((wanted) => `${wanted.package}@${wanted.version}`).toSorted(),
  };
}

/**
 * Asks the mirrors, each in turn until one answers, which packages a recipe needs, and which are the newest of them.
 * @throws RecipeError that names the line: no mirror answers, a signature is bad, a package is not there
 */
export async function resolve(read: ReadRecipe, options: ResolveOptions): Promise<Lock> {
  const request = await requestOf(read);
  const { npm = [] } = read.recipe;
  const pinned = npm.map(({ package: name, version, integrity }) => ({ package: name, version, integrity }));
  const empty: Lock = { format: 1, request, epochSeconds: OVERLAY_UNIX_TIME, packages: [], npm: pinned };
  // Without a suite, everything is in the published runtime that is extended.
  if (read.recipe.distribution === 'custom') return empty;
  const { box, signal } = options;
  const { apt, origins } = await openOrigins(read, options);
  const failures: Error[] = [];
  for (const origin of origins) {
    try {
      const sources = await origin.sources();
      const used = await useSources(box, apt, { sources, signal });
      await update(box, used, options);
      const packages = await listPackages(read, { ...options, apt: used, addresses: addressesIn(sources) });
      // What is only unpacked has no bytecode, the one thing that needs true times: its image is of its packages alone.
      const isUnpacked = read.recipe.variant === 'extract';
      const epochSeconds = isUnpacked ? OVERLAY_UNIX_TIME : await newestList(box, signal);
      return lockSchema.parse({ ...empty, epochSeconds, packages });
    } catch (error) {
      if (!(error instanceof CommandFailed) || isFull(error)) throw error;
      failures.push(faultOfLists(read, { origin, error }));
    }
  }
  throw failures.length === 1 ? failures[0] : joined(failures, read);
}

/** apt, and where a recipe's packages come from, in the order in which they are to be tried. */
export async function openOrigins(read: ReadRecipe, options: ResolveOptions): Promise<{ apt: Apt; origins: Origin[] }> {
  const { box, status, signal } = options;
  const keyrings = keyringsOf(read);
  const apt = await prepareApt(box, { keyrings, status, preferences: preferencesOf(read.recipe), signal });
  const { recipe } = read;
  const asking = { box, env: apt.env, signal };
  const inBox = (path: string) => keyringInBox(keyrings.indexOf(path), path);
  const own = recipe.keyring === undefined ? undefined : inBox(read.beside('keyring'));
  if (recipe.mirrors === undefined) return { apt, origins: [await machineOrigin(read, { ...asking, keyring: own })] };
  const usual = `/usr/share/keyrings/${KEYRINGS[recipe.distribution === 'ubuntu' ? 'ubuntu' : 'debian']}`;
  const origins = recipe.mirrors.map(({ url, keyring }, index): Origin => {
    const keys = keyring === undefined ? (own ?? usual) : inBox(read.beside('mirrors', index, 'keyring'));
    const at = { ...asking, suite: recipe.suite, components: recipe.components ?? DEFAULT_COMPONENTS, keyring: keys };
    return { member: ['mirrors', index], name: url, sources: () => sourcesAt(url, at) };
  });
  return { apt, origins };
}

async function machineOrigin(
  read: ReadRecipe,
  options: { box: Box; env: Record<string, string>; keyring: string | undefined; signal: AbortSignal | undefined },
): Promise<Origin> {
  const { distribution, suite } = read.recipe;
  const missing = () => {
    const wanted = 'expected the mirrors to take packages from: this machine is set up with none of them';
    return read.refuse(['mirrors'], `${wanted} for ${distribution} "${suite}"`);
  };
  // Another distribution's packages are not at this machine's mirrors, and their keys are not its own.
  if (distribution === 'ubuntu' && (await codeName()) !== suite) throw missing();
  const sources = async () => {
    const found = await sourcesOf(suite, options);
    if (found === undefined) throw missing();
    return options.keyring === undefined ? found : withKeyring(found, options.keyring);
  };
  return { member: ['suite'], name: 'the mirrors of this machine', sources };
}

function withKeyring({ text, extension }: Sources, keyring: string): Sources {
  if (extension === 'list') {
    const bare = text.replace(/^(deb(?:-src)?)\s+(?:\[[^\]]*\]\s+)?/gm, '$1 ');
    return { extension, text: bare.replace(/^(deb(?:-src)?) /gm, `$1 [signed-by=${keyring}] `) };
  }
  const bare = text.replace(/^Signed-By:.*(?:\n[ \t]+.*)*\n?/gim, '');
  return { extension, text: bare.replace(/^URIs:/gim, `Signed-By: ${keyring}\nURIs:`) };
}

/** Files of keys that a recipe brings, each once. */
function keyringsOf({ recipe, beside }: ReadRecipe): string[] {
  const ofMirrors = [...(recipe.mirrors ?? []).entries()].flatMap(([index, { keyring }]) =>
    keyring === undefined ? [] : [beside('mirrors', index, 'keyring')],
  );
  return [...new Set([...(recipe.keyring === undefined ? [] : [beside('keyring')]), ...ofMirrors])];
}

async function update(box: Box, { env, readOnly }: Apt, { onLine, signal }: ResolveOptions): Promise<void> {
  const command = ['apt-get', 'update', '-q'];
  await box.run(command, { env, readOnly, network: true, signal, ...(onLine ? { onLine } : {}) });
}

interface ListOptions extends ResolveOptions {
  apt: Apt;
  addresses: readonly string[];
}

/** Every package that is to be installed, by name. */
async function listPackages(read: ReadRecipe, options: ListOptions): Promise<LockedPackage[]> {
  const { box, apt, addresses, status, signal } = options;
  const { recipe } = read;
  const wanted = status === undefined ? [...patternsOf(recipe.variant), ...recipe.packages] : recipe.packages;
  if (wanted.length === 0) return [];
  const verb = recipe.variant === 'extract' ? ['download'] : ['install', '--yes'];
  const command = ['apt-get', ...verb, '-qq', '--print-uris', ...wanted];
  try {
    const printed = await box.run(command, { env: apt.env, readOnly: apt.readOnly, signal });
    const packages = printed
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => packageOf(line, addresses));
    return packages.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (error instanceof CommandFailed) throw faultOfPackages(read, error);
    throw error;
  }
}

/** What mmdebstrap installs by itself. */
function patternsOf(variant: Recipe['variant']): string[] {
  if (variant === 'extract') return [];
  if (variant === 'essential') return ['?essential'];
  return variant === 'apt' ? ['?essential', 'apt'] : ['?essential', '?priority(required)', 'apt'];
}

/** `'URI' name_version_architecture.deb size SHA256:hash`, as apt prints it. */
function packageOf(line: string, addresses: readonly string[]): LockedPackage {
  const [, uri = '', file = '', size = '', hash = ''] = /^'(\S+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$/.exec(line) ?? [];
  const [name = '', version = '', rest = ''] = file.split('_');
  const base = addresses.find((address) => uri.startsWith(address)) ?? '';
  return {
    name,
    version: decodeURIComponent(version),
    architecture: rest === 'all.deb' ? 'all' : 'amd64',
    sha256: hash,
    sizeBytes: Number(size),
    path: uri.slice(base.length),
  };
}

/** When the newest of the lists was made, by the signed word of those who made it. */
async function newestList(box: Box, signal: AbortSignal | undefined): Promise<number> {
  const script = 'cat apt/state/lists/*Release | grep "^Date: "';
  const dates = (await box.run(['sh', '-c', script], { signal })).trim().split('\n');
  return Math.max(...dates.map((line) => Math.floor(Date.parse(line.slice('Date: '.length)) / 1000)));
}

function joined(failures: readonly Error[], read: ReadRecipe): Error {
  const told = failures.map(({ message }) => message).join('\n');
  return read.refuse(['mirrors'], `expected one of the mirrors to answer, found that none does:\n${told}`);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
