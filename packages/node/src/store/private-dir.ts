import { chmod, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { storageError } from './storage-error.ts';
import { TEMPORARY_SUFFIX } from './write-file.ts';

const OTHERS = 0o077;
const TEMPORARY = new RegExp(`\\.(\\d+)-[0-9a-f]+\\${TEMPORARY_SUFFIX}$`);

/**
 * Makes a folder that only its owner can enter, or makes an existing one so, and removes the temporary files that
 * killed processes left in it.
 *
 * @throws VmletError `STORAGE_FULL`, `STORAGE_FAILED`
 */
export async function makePrivateDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    if (((await stat(path)).mode & OTHERS) !== 0) await chmod(path, 0o700);
    for (const name of await readdir(path)) {
      const pid = TEMPORARY.exec(name)?.[1];
      if (pid !== undefined && !isAlive(Number(pid))) await rm(join(path, name), { force: true });
    }
  } catch (error) {
    throw storageError(error, path);
  }
}

/** A process that belongs to someone else is alive too: only "no such process" says otherwise. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
