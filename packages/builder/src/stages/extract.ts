import { basename, dirname, join } from 'node:path';
import { CommandFailed } from '@vmlet/host';
import type { Box } from '../box/index.ts';
import type { Lock } from '../packages/lock.ts';
import type { ReadRecipe, Recipe } from '../recipe.ts';
import { type StageOptions, TREE, tellFailure } from './stage.ts';

/**
 * Fills the tree with the files of a lock's packages, without running any of their scripts, and then makes the
 * recipe's folders and joins its files.
 * @throws RecipeError when nothing matches
 */
export async function extract(read: ReadRecipe, lock: Lock, options: StageOptions): Promise<void> {
  const { recipe } = read;
  const { box, packages, signal } = options;
  await box.run(['mkdir', '--mode=755', TREE], { signal });
  // dpkg's patterns are tar's, but for the dot in front of an archive's names.
  const exclude = recipe.exclude.map((pattern) => `--exclude=.${pattern}`);
  const script = `deb=$1; shift; dpkg-deb --fsys-tarfile "$deb" | tar -x -C ${TREE} --anchored --wildcards --no-same-owner "$@"`;
  // In the order of the recipe: of two packages that have the same file, the later one counts.
  for (const name of recipe.packages) {
    const locked = lock.packages.find((candidate) => candidate.name === name);
    if (locked === undefined) continue;
    const deb = `/packages/${locked.sha256}.deb`;
    const readOnly = { [join(packages, 'debian')]: '/packages' };
    try {
      await box.run(['bash', '-o', 'pipefail', '-c', script, 'bash', deb, ...exclude], { readOnly, signal });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const member = ['packages', recipe.packages.indexOf(name)];
      throw tellFailure(read, { member, what: 'to unpack', error });
    }
  }
  const folders = Object.entries(recipe.directories ?? {}).flatMap(([path, mode]) => [mode, inTree(path)]);
  const making = 'while [ $# -gt 0 ]; do install -d --mode="$1" "$2" || exit 1; shift 2; done';
  await box.run(['sh', '-c', making, 'sh', ...folders], { signal });
  await joinFiles(read, options);
}

/** Writes the files that are others of the image, one after another by name. */
async function joinFiles(read: ReadRecipe, { box, signal }: StageOptions): Promise<void> {
  for (const [index, { path, concat, mode }] of (read.recipe.files ?? []).entries()) {
    if (concat === undefined) continue;
    // The pattern is words of the shell: which ones they may be, the schema says. Each file ends with a newline.
    const script = `set -f; umask 022; pattern=$1; cd ${TREE}; set +f
found=; mkdir -p "$(dirname "$2")"; : > ../joined
for file in $pattern; do
  [ -f "$file" ] && [ ! -L "$file" ] || continue
  found=1; sed -e '$a\\' "$file" >> ../joined || exit 1
done
[ -n "$found" ] || exit 3
[ ! -e "$2" ] && install --mode="$3" ../joined "$2"`;
    try {
      await box.run(['sh', '-c', script, 'sh', concat.slice(1), path.slice(1), mode ?? '0644'], { signal });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const member = ['files', index, 'concat'];
      if (error.exitCode === 3) throw read.refuse(member, `expected some file that is "${concat}", found none`);
      throw tellFailure(read, { member, what: 'to be joined', error });
    }
  }
}

/** Links each name that a multi-call program answers to, beside it. */
export async function linkApplets(program: string, box: Box, signal?: AbortSignal): Promise<void> {
  const listed = await box.run([program, '--list'], { root: TREE, signal });
  const names = listed.split('\n').filter((name) => /^[\w[.+-]+$/.test(name) && name !== '.' && name !== '..');
  const script = `cd "$1" && shift && target=$1 && shift
for name; do [ -e "$name" ] || [ -L "$name" ] || ln -s "$target" "$name" || exit 1; done`;
  await box.run(['sh', '-c', script, 'sh', inTree(dirname(program)), basename(program), ...names], { signal });
}

/** Of the tree, as a command in the box names it. A link in it may lead out of it, though not out of the box. */
function inTree(path: NonNullable<Recipe['applets']>): string {
  return join(TREE, path);
}
