import { join } from 'node:path';
import { type BuiltRuntime, ensureRuntime } from '@vmlet/builder';
import { resolvePaths } from '@vmlet/host';

/** The repository's own folder. */
export const REPOSITORY = join(import.meta.dirname, '../..');

/** An official runtime, from the shared cache; the Python one unless told. Others than that are built when first asked. */
export function officialRuntime(name = 'debian-12-python', onProgress?: (step: string) => void): Promise<BuiltRuntime> {
  return ensureRuntime(join(REPOSITORY, 'runtimes', name), {
    cache: resolvePaths().cache,
    official: join(REPOSITORY, 'runtimes'),
    ...(onProgress ? { onProgress } : {}),
  });
}
