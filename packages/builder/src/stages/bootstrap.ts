import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@vmlet/host';
import type { Recipe } from '../recipe.ts';
import { packOverlay } from './overlay.ts';
import { sourcesOf } from './sources.ts';

/**
 * Without this pin, apt satisfies init-system-helpers with usrmerge, which brings all of perl (46 MB) to convert a
 * root filesystem that mmdebstrap's merged-usr hook has laid out right from the start.
 */
const NO_USRMERGE = 'Package: usrmerge\\nPin: release *\\nPin-Priority: -1\\n';
/** Lays the root filesystem out with /bin, /sbin and /lib as links into /usr, and then installs the package that says so. */
const MERGED_USR = '/usr/share/mmdebstrap/hooks/merged-usr';
/** Suites that have no package that says so: mmdebstrap's stand-in for it is taken out again. */
const WITHOUT_USR_IS_MERGED = ['buster', 'bullseye'];
const PIN_FILE = '"$1"/etc/apt/preferences.d/vmlet-build';

export interface BootstrapOptions {
  /** The folder that becomes the root filesystem; must not exist yet. */
  target: string;
  /** A folder to work in. */
  work: string;
  /** A tree that is laid over the installed packages, before the recipe's removals. */
  overlay?: string | undefined;
  onLine?: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Fills a folder with a Debian root filesystem by mmdebstrap.
 *
 * Root runs it in a mount namespace of its own, so that nothing is ever mounted on the host; anybody else in
 * mmdebstrap's user namespace. Packages come from the mirrors that this machine is set up with.
 * @throws RecipeError when those have nothing of Debian's, CommandFailed
 */
export async function bootstrap(recipe: Recipe, options: BootstrapOptions): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  const sources = await writeSources(recipe.suite, options);
  const overlay = options.overlay === undefined ? [] : [await packOverlay(options.overlay, options.signal)];
  const mmdebstrap = [
    'mmdebstrap',
    `--mode=${isRoot ? 'root' : 'unshare'}`,
    `--variant=${recipe.variant}`,
    `--architectures=${recipe.architecture}`,
    `--include=${recipe.packages.join(',')}`,
    ...mergedUsr(recipe.suite),
    `--setup-hook=mkdir -p "$1"/etc/apt/preferences.d; printf '${NO_USRMERGE}' > ${PIN_FILE}`,
    `--customize-hook=rm ${PIN_FILE}`,
    '--aptopt=APT::Install-Recommends "false"',
    ...recipe.exclude.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    ...recipe.include.map((pattern) => `--dpkgopt=path-include=${pattern}`),
    ...overlay.map((tar) => `--customize-hook=tar-in "${tar}" /`),
    ...recipe.remove.map((pattern) => `--customize-hook=rm -rf "$1"${pattern}`),
    // The image names no mirror: where it is used, another one may be nearer.
    '--customize-hook=rm -f "$1"/etc/apt/sources.list.d/*; echo "# deb MIRROR SUITE main" > "$1"/etc/apt/sources.list',
    // Identity is given to each machine by init0, and must not be the same in two of them.
    '--customize-hook=rm -f "$1"/etc/machine-id "$1"/var/lib/dbus/machine-id "$1"/etc/hostname; : > "$1"/etc/machine-id',
    '--customize-hook=rm -f "$1"/etc/resolv.conf',
    recipe.suite,
    options.target,
    ...sources,
  ];
  const command = isRoot ? ['unshare', '--mount', '--propagation', 'private', ...mmdebstrap] : mmdebstrap;
  await run(command[0] ?? '', command.slice(1), {
    // With SOURCE_DATE_EPOCH, Python writes bytecode that is checked by hashing its source at each import.
    env: { ...process.env, SOURCE_DATE_EPOCH: undefined, DEBIAN_FRONTEND: 'noninteractive' },
    ...(options.onLine ? { onLine: options.onLine } : {}),
    signal: options.signal,
  });
}

/** @returns the path of a file of sources, or nothing where the machine has none */
async function writeSources(suite: string, { work, signal }: BootstrapOptions): Promise<string[]> {
  const sources = await sourcesOf(suite, { work, signal });
  if (sources === undefined) return [];
  const path = join(work, `vmlet.${sources.extension}`);
  await writeFile(path, sources.text);
  return [path];
}

function mergedUsr(suite: string): string[] {
  if (!WITHOUT_USR_IS_MERGED.includes(suite)) return [`--hook-dir=${MERGED_USR}`];
  return [`--setup-hook=${MERGED_USR}/setup00.sh`, '--customize-hook=chroot "$1" dpkg --purge usr-is-merged'];
}
