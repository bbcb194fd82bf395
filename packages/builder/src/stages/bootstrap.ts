import { existsSync } from 'node:fs';
import { run } from '@vmlet/host';
import type { Recipe } from '../recipe.ts';

/** Where Debian 12 and later keep the sources that the machine is set up with; older ones use sources.list. */
const MACHINE_SOURCES = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'];

/**
 * Without this pin, apt satisfies init-system-helpers with usrmerge, which brings all of perl (46 MB) to convert a
 * root filesystem that mmdebstrap's merged-usr hook has laid out right from the start.
 */
const NO_USRMERGE = 'Package: usrmerge\\nPin: release *\\nPin-Priority: -1\\n';
const PIN_FILE = '"$1"/etc/apt/preferences.d/vmlet-build';

export interface BootstrapOptions {
  /** The folder that becomes the root filesystem; must not exist yet. */
  target: string;
  onLine?: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Fills a folder with a Debian root filesystem by mmdebstrap.
 *
 * Root runs it in a mount namespace of its own, so that nothing is ever mounted on the host; anybody else in
 * mmdebstrap's user namespace. Packages come from the mirrors that this machine is set up with.
 */
export async function bootstrap(recipe: Recipe, options: BootstrapOptions): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  const sources = MACHINE_SOURCES.filter((path) => existsSync(path)).slice(0, 1);
  const mmdebstrap = [
    'mmdebstrap',
    `--mode=${isRoot ? 'root' : 'unshare'}`,
    `--variant=${recipe.variant}`,
    `--architectures=${recipe.architecture}`,
    `--include=${recipe.packages.join(',')}`,
    '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
    `--setup-hook=mkdir -p "$1"/etc/apt/preferences.d; printf '${NO_USRMERGE}' > ${PIN_FILE}`,
    `--customize-hook=rm ${PIN_FILE}`,
    '--aptopt=APT::Install-Recommends "false"',
    ...recipe.exclude.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    ...recipe.include.map((pattern) => `--dpkgopt=path-include=${pattern}`),
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
