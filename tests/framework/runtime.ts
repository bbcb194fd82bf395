import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type BuiltRuntime, ensureRuntime, splitName } from '@vmlet/builder';
import { resolvePaths } from '@vmlet/host';

/** The repository's own folder. */
export const REPOSITORY = join(import.meta.dirname, '../..');
/** Recipes of the official runtimes. */
export const RUNTIMES = join(REPOSITORY, 'runtimes');

/**
 * An official runtime, from the shared cache; the Python one unless told. Others than that are built when first asked.
 * `NAME-ext4` is one in another filesystem than its recipe's.
 */
export function officialRuntime(name = 'debian-12-python', onProgress?: (step: string) => void): Promise<BuiltRuntime> {
  const { recipe, filesystem } = existsSync(join(RUNTIMES, name))
    ? { recipe: name, filesystem: undefined }
    : splitName(name);
  return ensureRuntime(join(RUNTIMES, recipe), {
    ...{ cache: resolvePaths().cache, official: RUNTIMES, filesystem },
    ...(onProgress ? { onProgress } : {}),
  });
}
