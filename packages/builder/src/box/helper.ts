import { createHash } from 'node:crypto';
import { access, chmod, constants, mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeWorkFolder, run } from '@vmlet/host';

const FLAGS = ['-std=gnu11', '-O2', '-s', '-Wall', '-Wextra', '-Werror', '-fstack-protector-strong'];
const SOURCE = join(import.meta.dirname, 'userns.c');

/**
 * The program that enters a box's user namespace, compiled once for each version of its source and kept in the cache.
 * @param cache `$VMLET_CACHE`
 * @throws CommandFailed
 */
export async function ensureHelper(cache: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
    .update(FLAGS.join(' '))
    .update(await readFile(SOURCE));
  const folder = join(cache, 'box');
  const path = join(folder, `vmlet-userns-${hash.digest('hex').slice(0, 16)}`);
  const exists = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (exists) return path;
  await mkdir(folder, { recursive: true });
  await using work = await makeWorkFolder(folder, 'userns');
  const compiled = join(work.path, 'userns');
  await run('gcc', [...FLAGS, '-o', compiled, SOURCE], { signal });
  await chmod(compiled, 0o555);
  await rename(compiled, path);
  return path;
}
