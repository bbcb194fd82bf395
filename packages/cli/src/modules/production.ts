import { lstat, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { dirname, join, posix, relative } from 'node:path';
import { type PackageJson, parsePackage } from '../detect/package-json.ts';

/** A package that is installed in a node_modules folder. */
export interface InstalledPackage {
  /** Below the program's folder, with slashes and without links. */
  readonly path: string;
  readonly name: string;
  readonly version: string;
}

/** What of the installed packages a program needs when it runs. */
export interface ProductionModules {
  readonly packages: readonly InstalledPackage[];
  /** Links in node_modules folders on the way to them, and the commands that they bring. */
  readonly links: readonly string[];
  /** Dependencies that are not installed, as `name (wanted by other)`. */
  readonly missing: readonly string[];
}

/**
 * Follows `dependencies` from a package.json to the packages that Node.js would find for them, and on from there. This
 * is how a program finds them, so it holds for what npm, pnpm and Yarn installed alike; development dependencies that
 * nothing else needs are not among them.
 * @param folder absolute path, without links
 */
export async function productionModules(
  folder: string,
  manifest: PackageJson,
  signal: AbortSignal,
): Promise<ProductionModules> {
  const search = new Search(folder);
  await search.follow({ path: '', name: 'package.json', manifest }, signal);
  return search.result();
}

interface Dependent {
  path: string;
  name: string;
  manifest: PackageJson;
}

class Search {
  readonly #folder: string;
  /** Names in a node_modules folder, by the folder that it is in. */
  readonly #listings = new Map<string, Promise<ReadonlySet<string>>>();
  readonly #packages = new Map<string, InstalledPackage>();
  readonly #links = new Set<string>();
  readonly #missing = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async follow(root: Dependent, signal: AbortSignal): Promise<void> {
    const queue = [root];
    for (let dependent = queue.pop(); dependent !== undefined; dependent = queue.pop()) {
      signal.throwIfAborted();
      for (const [name, isNeeded] of dependenciesOf(dependent.manifest)) {
        const found = await this.#find(name, dependent.path);
        if (found === undefined && isNeeded) this.#missing.add(`${name} (wanted by ${dependent.name})`);
        if (found === undefined || this.#packages.has(found)) continue;
        const manifest = parsePackage(
          await readFile(join(this.#folder, found, 'package.json'), 'utf8'),
          `${found}/package.json`,
        );
        const version = typeof manifest.version === 'string' ? manifest.version : '';
        this.#packages.set(found, { path: found, name, version });
        queue.push({ path: found, name, manifest });
      }
    }
  }

  async result(): Promise<ProductionModules> {
    const packages = [...this.#packages.values()];
    for (const folder of new Set(packages.flatMap(({ path }) => hostsOf(path)))) await this.#addCommands(folder);
    // A workspace is a part of the program's own sources.
    const isInstalled = ({ path }: InstalledPackage) => `/${path}`.includes('/node_modules/');
    return { packages: packages.filter(isInstalled), links: [...this.#links], missing: [...this.#missing] };
  }

  /** The package that Node.js finds from a folder, without links; noted are the links on the way. */
  async #find(name: string, from: string): Promise<string | undefined> {
    if (!/^(?:@[\w.~-]+\/)?[\w.~-]+$/.test(name) || name.split('/').includes('..')) return undefined;
    for (let at = from; ; at = dirname(at) === '.' ? '' : dirname(at)) {
      const isCandidate = posix.basename(at) !== 'node_modules' && (await this.#listing(at)).has(name);
      if (isCandidate) {
        const found = await this.#real(posix.join(at, 'node_modules', name));
        if (found !== undefined) return found;
      }
      if (at === '') return undefined;
    }
  }

  #listing(at: string): Promise<ReadonlySet<string>> {
    const known = this.#listings.get(at) ?? list(join(this.#folder, at, 'node_modules'));
    this.#listings.set(at, known);
    return known;
  }

  async #real(path: string): Promise<string | undefined> {
    const absolute = join(this.#folder, path);
    const found = await realpath(absolute).catch(() => undefined);
    if (found === undefined) return undefined;
    const real = relative(this.#folder, found);
    if (real !== path) this.#links.add(path);
    // One outside of the folder is packed as the link that it is, which is refused with its name.
    return real.startsWith('..') ? undefined : real;
  }

  /** Links in `.bin` whose packages are needed. */
  async #addCommands(folder: string): Promise<void> {
    const bin = posix.join(folder, 'node_modules/.bin');
    const entries = await readdir(join(this.#folder, bin), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = posix.join(bin, entry.name);
      if (!entry.isSymbolicLink()) continue;
      const target = posix.join(bin, await readlink(join(this.#folder, path)));
      const owner = [...this.#packages.keys()].some((known) => target.startsWith(`${known}/`));
      if (owner) this.#links.add(path);
    }
  }
}

/** Names, and whether the program cannot do without. */
function dependenciesOf({ dependencies, optionalDependencies, peerDependencies }: PackageJson): Map<string, boolean> {
  const optional = Object.keys(optionalDependencies);
  const names = new Map(Object.keys(dependencies).map((name): [string, boolean] => [name, true]));
  // npm writes optional ones into both members; who lacks a peer may do without.
  for (const name of [...optional, ...Object.keys(peerDependencies).filter((peer) => !names.has(peer))])
    names.set(name, false);
  return names;
}

/** Folders whose node_modules a package lies in. */
function hostsOf(path: string): string[] {
  const at = `/${path}`.lastIndexOf('/node_modules/');
  return at < 0 ? [] : [path.slice(0, Math.max(0, at - 1))];
}

/** Packages in a node_modules folder, those of scopes with their scope. */
async function list(folder: string): Promise<ReadonlySet<string>> {
  const names = await readdir(folder).catch(() => []);
  const nested = names.map(async (name) => {
    if (!name.startsWith('@')) return [name];
    const inner = await readdir(join(folder, name)).catch(() => []);
    return inner.map((each) => `${name}/${each}`);
  });
  return new Set((await Promise.all(nested)).flat());
}

/** Whether a program's folder has a node_modules folder that is its own. */
export async function hasModules(folder: string): Promise<boolean> {
  const found = await lstat(join(folder, 'node_modules')).catch(() => undefined);
  return found?.isDirectory() === true;
}
