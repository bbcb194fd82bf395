import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Prefix of what is unfinished; the process id of its writer follows, and `sweepAbandoned` goes by it. */
export const TEMPORARY_PREFIX = '.tmp-';

/**
 * Writes a whole file or nothing: temporary name, write, fsync, rename, fsync of the folder.
 * @param options.mode permission bits of the final file, 0o644 unless told
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: { mode?: number } = {},
): Promise<void> {
  const temporary = join(
    dirname(path),
    `${TEMPORARY_PREFIX}${process.pid}-${basename(path)}-${randomBytes(4).toString('hex')}`,
  );
  try {
    const file = await open(temporary, 'wx', options.mode ?? 0o644);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Makes renames inside a folder survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * A JSON file's value, or undefined where there is no such file. Other failures are thrown.
 * @param options.rebuildable the file can be made again: a damaged one counts as none
 */
export async function readJsonIfExists(path: string, options: { rebuildable?: boolean } = {}): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (options.rebuildable && error instanceof SyntaxError) return undefined;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
