import { join } from 'node:path';
import { Readable } from 'node:stream';
import { CommandFailed } from '@vmlet/host';
import type { Box } from '../box/index.ts';
import { preferencesOf } from '../packages/apt.ts';
import type { Lock } from '../packages/lock.ts';
import type { ReadRecipe } from '../recipe.ts';
import { type StageOptions, tellFailure } from './stage.ts';

/** Lays the root filesystem out with /bin, /sbin and /lib as links into /usr, and then installs the package that says so. */
const MERGED_USR = '/usr/share/mmdebstrap/hooks/merged-usr';
const PIN_FILE = '"$1"/etc/apt/preferences.d/vmlet-build';

/**
 * Fills the tree with exactly the packages of a lock, by mmdebstrap, from a repository that has no others.
 * @throws RecipeError
 */
export async function install(read: ReadRecipe, lock: Lock, options: StageOptions): Promise<void> {
  const { recipe } = read;
  const { box, signal, onLine } = options;
  await makeRepository(box, lock, options);
  const mmdebstrap = [
    'mmdebstrap',
    '--mode=root',
    `--variant=${recipe.variant}`,
    `--architectures=${recipe.architecture}`,
    ...(recipe.packages.length > 0 ? [`--include=${recipe.packages.join(',')}`] : []),
    ...mergedUsr(lock),
    `--setup-hook=mkdir -p "$1"/etc/apt/preferences.d; printf '${preferencesOf(recipe).replaceAll('\n', '\\n')}' > ${PIN_FILE}`,
    `--customize-hook=rm ${PIN_FILE}`,
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=APT::Sandbox::User "root"',
    ...recipe.exclude.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    ...recipe.include.map((pattern) => `--dpkgopt=path-include=${pattern}`),
    // The image names no mirror: where it is used, another one may be nearer.
    '--customize-hook=rm -f "$1"/etc/apt/sources.list.d/*; echo "# deb MIRROR SUITE main" > "$1"/etc/apt/sources.list',
    recipe.suite,
    '/work/root',
    'deb [trusted=yes] copy:/work/repository ./',
  ];
  try {
    await box.run(mmdebstrap, {
      // The same order of Python's sets each time. Not SOURCE_DATE_EPOCH: with it, Python writes bytecode that is
      // checked by hashing its source at each import.
      env: { DEBIAN_FRONTEND: 'noninteractive', PYTHONHASHSEED: '0', TMPDIR: '/work' },
      ...(onLine ? { onLine } : {}),
      signal,
    });
    await box.run(['rm', '-rf', 'repository'], { signal });
  } catch (error) {
    throw error instanceof CommandFailed
      ? tellFailure(read, { member: ['packages'], what: 'to install', error })
      : error;
  }
}

/** A repository that apt takes for the suite's, of the packages of a lock. */
export async function makeRepository(
  box: Box,
  lock: Lock,
  { packages, signal }: Pick<StageOptions, 'packages' | 'signal'>,
): Promise<void> {
  const list = lock.packages.map(({ name, version, architecture, sha256 }) => {
    return `${sha256} ${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb\n`;
  });
  const { suite } = lock.request;
  // Copies, since apt hands links of links on to dpkg. The index stands beside the folder while it is written.
  const script = `rm -rf repository && mkdir repository
while read -r hash name; do cp "/packages/$hash.deb" "repository/$name" || exit 1; done
cd repository && apt-ftparchive packages . > ../Packages && mv ../Packages . &&
printf 'Suite: %s\\nCodename: %s\\n' "$1" "$1" > Release`;
  await box.run(['sh', '-c', script, 'sh', suite], {
    env: { APT_CONFIG: '/dev/null' },
    input: Readable.from(list),
    readOnly: { [join(packages, 'debian')]: '/packages' },
    signal,
  });
}

/** A suite without the package that says so has mmdebstrap's stand-in taken out again. */
function mergedUsr({ packages }: Lock): string[] {
  if (packages.some(({ name }) => name === 'usr-is-merged')) return [`--hook-dir=${MERGED_USR}`];
  return [`--setup-hook=${MERGED_USR}/setup00.sh`, '--customize-hook=chroot "$1" dpkg --purge usr-is-merged'];
}
