import { join } from 'node:path';
import { type BuiltRuntime, ensureRuntime } from '@vmlet/builder';
import { resolvePaths } from '@vmlet/host';

/** The repository's own folder. */
export const REPOSITORY = join(import.meta.dirname, '../..');

/** The official Python runtime, from the shared cache. */
export function officialRuntime(onProgress?: (step: string) => void): Promise<BuiltRuntime> {
  return ensureRuntime(join(REPOSITORY, 'runtimes/debian-12-python'), {
    cache: resolvePaths().cache,
    ...(onProgress ? { onProgress } : {}),
  });
}
