import { createHash } from 'node:crypto';
import { access, chmod, constants, mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeWorkFolder, run } from '@vmlet/host';

const FLAGS = ['-std=gnu11', '-O2', '-s', '-Wall', '-Wextra', '-Werror', '-fstack-protector-strong'];
const CAGE_SOURCES = ['cage.c', 'options.h'].map((name) => join(import.meta.dirname, name));
const PASS_SOURCE = join(import.meta.dirname, '../late/pass.c');

/**
 * The program that makes cages, compiled once for each version of its source and kept in the cache.
 * @param cache `$VMLET_CACHE`
 * @throws CommandFailed
 */
export function ensureHelper(cache: string, signal: AbortSignal): Promise<string> {
  // Static, since it becomes another user in another root.
  return ensureCompiled(cache, { name: 'vmlet-cage', sources: CAGE_SOURCES, flags: [...FLAGS, '-static'], signal });
}

/**
 * The library by which the node passes descriptors on, as {@link ensureHelper}.
 * @throws CommandFailed
 */
export function ensurePassLibrary(cache: string, signal: AbortSignal): Promise<string> {
  const flags = [...FLAGS, '-shared', '-fPIC', '-fvisibility=hidden'];
  return ensureCompiled(cache, { name: 'vmlet-pass', sources: [PASS_SOURCE], flags, signal });
}

interface Compilation {
  name: string;
  /** The first is compiled, the others are included by it. */
  sources: readonly string[];
  flags: readonly string[];
  signal: AbortSignal;
}

async function ensureCompiled(cache: string, { name, sources, flags, signal }: Compilation): Promise<string> {
  const hash = createHash('sha256').update(flags.join(' '));
  for (const source of sources) hash.update(await readFile(source));
  const folder = join(cache, 'cage');
  const path = join(folder, `${name}-${hash.digest('hex').slice(0, 16)}`);
  const exists = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (exists) return path;
  await mkdir(folder, { recursive: true });
  await using work = await makeWorkFolder(folder, 'cage');
  const compiled = join(work.path, name);
  await run('gcc', [...flags, '-o', compiled, sources[0] ?? ''], { signal });
  await chmod(compiled, 0o555);
  await rename(compiled, path);
  return path;
}
