import { statfs } from 'node:fs/promises';
import { CommandFailed } from '@vmlet/host';

/** Words of the C library's, which every command uses: no space, over a quota, over the limit of a file's size. */
const FULL = /No space left on device|Disk quota exceeded|File too large|File size limit exceeded/i;
/** A shell's, for a command that was ended for a file over the limit. */
const EXIT_BY_SIGXFSZ = 128 + 25;
const FULL_CODES = ['ENOSPC', 'EDQUOT', 'EFBIG'];
const MIB = 1024 * 1024;

/** There is no room for what is built; nothing of it is left. */
export class DiskFull extends Error {
  override readonly name = 'DiskFull';
  /** Where it was to be. */
  readonly folder: string;
  constructor(folder: string, found: string, options: { cause: unknown }) {
    super(
      `Cannot build in "${folder}": ${found}, expected room for the runtime's files and its image; free some, or set VMLET_CACHE to a folder on a larger disk`,
      options,
    );
    this.folder = folder;
  }
}

/**
 * What to say of a build's error, once nothing of it is left: a DiskFull if a disk was full, else the error itself.
 * @param folder where builds are made
 */
export async function explainFullDisk(error: unknown, folder: string): Promise<unknown> {
  if (error instanceof DiskFull || !isFull(error)) return error;
  const { bavail, bsize } = await statfs(folder);
  const free = `${Math.floor((bavail * bsize) / MIB)} MiB`;
  return new DiskFull(folder, `its disk is full, of which ${free} are free without this build`, { cause: error });
}

/** Whether a command or a call failed since there was no room. */
export function isFull(error: unknown): boolean {
  if (error instanceof CommandFailed && error.exitCode === EXIT_BY_SIGXFSZ) return true;
  if (error instanceof CommandFailed) return FULL.test(error.stderr) || FULL.test(error.message);
  return error instanceof Error && 'code' in error && FULL_CODES.includes(String(error.code));
}
