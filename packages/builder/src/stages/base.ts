import { join } from 'node:path';
import { CommandFailed } from '@vmlet/host';
import type { BaseTree } from '../base.ts';
import type { Lock } from '../packages/lock.ts';
import type { ReadRecipe } from '../recipe.ts';
import { type StageOptions, TREE, tellFailure } from './stage.ts';

/** Where the packages are, while they are installed in the tree. */
const PACKAGES = '/run/vmlet-packages';

/**
 * Fills the tree with that of a published runtime.
 * @throws RecipeError when nobody gives it
 */
export async function unpackBase(
  read: ReadRecipe,
  fileHash: string,
  { box, trees, signal }: StageOptions & { trees: BaseTree | undefined },
): Promise<void> {
  if (trees === undefined) throw withoutTrees(read);
  const input = await trees.open(fileHash, signal);
  await box.run(['mkdir', TREE], { signal });
  const attributes = ['--xattrs', '--xattrs-include=user.*', '--xattrs-include=security.capability'];
  try {
    await box.run(['tar', '-xp', '-C', TREE, '--same-owner', '--numeric-owner', ...attributes], { input, signal });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    throw tellFailure(read, { member: ['extends'], what: 'to be unpacked', error });
  }
}

/** For whoever reads a recipe that extends a published runtime, without a network to have it from. */
export function withoutTrees(read: ReadRecipe): Error {
  return read.refuse(['extends'], 'expected a folder: nothing here gives the files of published runtimes');
}

/**
 * Adds the packages of a lock to the tree by its own dpkg, in it.
 * @throws RecipeError
 */
export async function addPackages(read: ReadRecipe, lock: Lock, options: StageOptions): Promise<void> {
  const { box, packages, onLine, signal } = options;
  const files = lock.packages.map(({ sha256 }) => `${PACKAGES}/${sha256}.deb`);
  // Unpacked all, then configured: dpkg finds the order, which only what is needed before unpacking can break.
  const script = `printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
dpkg --install --force-confdef --force-confold "$@"; failed=$?
rm -f /usr/sbin/policy-rc.d; exit $failed`;
  try {
    await box.run(['/bin/sh', '-c', script, 'sh', ...files], {
      root: TREE,
      readOnly: { [join(packages, 'debian')]: PACKAGES },
      env: { DEBIAN_FRONTEND: 'noninteractive', PYTHONHASHSEED: '0' },
      ...(onLine ? { onLine } : {}),
      signal,
    });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    throw tellFailure(read, { member: ['packages'], what: 'to install', error });
  }
}
