import { createHash } from 'node:crypto';
import { access, chmod, constants, mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeWorkFolder, run } from '@vmlet/host';

const SOURCES = ['cage.c', 'options.h'].map((name) => join(import.meta.dirname, name));
/** Static, since it becomes another user in another root; warnings are errors, since all of the cage stands on it. */
const FLAGS = ['-std=gnu11', '-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror', '-fstack-protector-strong'];

/**
 * The program that makes cages, compiled once for each version of its source and kept in the cache.
 * @param cache `$VMLET_CACHE`
 * @throws CommandFailed
 */
export async function ensureHelper(cache: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256').update(FLAGS.join(' '));
  for (const source of SOURCES) hash.update(await readFile(source));
  const folder = join(cache, 'cage');
  const path = join(folder, `vmlet-cage-${hash.digest('hex').slice(0, 16)}`);
  const exists = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (exists) return path;
  await mkdir(folder, { recursive: true });
  await using work = await makeWorkFolder(folder, 'cage');
  const compiled = join(work.path, 'vmlet-cage');
  await run('gcc', [...FLAGS, '-o', compiled, SOURCES[0] ?? ''], { signal });
  await chmod(compiled, 0o555);
  await rename(compiled, path);
  return path;
}
