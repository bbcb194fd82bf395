import { RecipeError } from '../recipe.ts';
import { type MakeIn, SETTLED } from './make.ts';
import { steadily } from './steadily.ts';

/** mkfs.erofs 1.5 cuts longer ones, and then does not find the file. */
const MAX_EROFS_NAME_BYTES = 254;
/** mksquashfs' own. */
const SQUASHFS_CLUSTER_KIB = 128;

/**
 * Makes an erofs image.
 * @throws RecipeError for a name that is too long, CommandFailed
 */
export async function makeErofsImage({ box, tree, image, filesystem, uuid, epochSeconds, signal }: MakeIn) {
  await refuseLongNames({ box, tree, signal });
  const { compression = 'none', clusterKiB } = filesystem;
  const argv = ['mkfs.erofs', '--quiet', '-U', uuid];
  if (compression !== 'none') argv.push(`-z${compression}`);
  if (clusterKiB !== undefined) argv.push(`-C${clusterKiB * 1024}`);
  await steadily(box, [...argv, image, tree], { uuid, epochSeconds, signal });
  await box.run(['sh', '-euc', SETTLED, 'sh', image], { signal });
}

async function refuseLongNames({ box, tree, signal }: Pick<MakeIn, 'box' | 'tree' | 'signal'>): Promise<void> {
  // Bytes, whatever letters they are: the pattern is one of the C locale.
  const long = `*/${'?'.repeat(MAX_EROFS_NAME_BYTES + 1)}`;
  const argv = ['find', tree, '-path', long, '-name', long.slice(2), '-printf', '%P\\n', '-quit'];
  const found = await box.run(argv, { env: { LC_ALL: 'C' }, signal });
  if (found === '') return;
  throw new RecipeError(
    `Cannot make the erofs image: "${found.trimEnd()}" has a name of over ${MAX_EROFS_NAME_BYTES} bytes, expected a shorter one, or another filesystem`,
  );
}

/**
 * Makes a squashfs image.
 * @throws CommandFailed
 */
export async function makeSquashfs({ box, tree, image, filesystem, uuid, epochSeconds, signal }: MakeIn) {
  const { compression = 'zstd', clusterKiB = SQUASHFS_CLUSTER_KIB } = filesystem;
  const argv = ['mksquashfs', tree, image, '-noappend', '-no-exports', '-no-progress', '-quiet', '-exit-on-error'];
  argv.push('-mkfs-time', String(epochSeconds), '-b', `${clusterKiB}K`);
  // Even what is not compressed has to name a compressor: one that each kernel with squashfs has.
  argv.push(
    '-comp',
    ...(compression === 'none' ? ['gzip', '-noI', '-noD', '-noF', '-noX'] : squashfsComp(compression)),
  );
  await steadily(box, argv, { uuid, epochSeconds, signal });
  await box.run(['sh', '-euc', SETTLED, 'sh', image], { signal });
}

/** lz4hc is lz4, and takes longer. */
function squashfsComp(compression: string): string[] {
  return compression === 'lz4hc' ? ['lz4', '-Xhc'] : [compression];
}
