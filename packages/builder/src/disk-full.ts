import { statfs } from 'node:fs/promises';
import { CommandFailed } from '@vmlet/host';

/** Words of the C library's, which every command uses: no space, over a quota, over the limit of a file's size. */
const FULL = /No space left on device|Disk quota exceeded|File too large|File size limit exceeded/i;
const FULL_CODES = ['ENOSPC', 'EDQUOT', 'EFBIG'];
const MIB_BYTES = 1024 * 1024;

/** There is no room for what is built; nothing of it is left. */
export class DiskFull extends Error {
  override readonly name = 'DiskFull';
  /** Where it was to be. */
  readonly folder: string;
  constructor(folder: string, found: string, options: { cause: unknown }) {
    super(
      `Cannot write to "${folder}": ${found}, expected room for the runtime's files and image; free some, or set VMLET_CACHE to a folder of a larger disk`,
      options,
    );
    this.folder = folder;
  }
}

/**
 * What to say of a build's error: a DiskFull if it was that a disk is full, else the error itself.
 * @param folder what was written to is on its disk
 */
export async function explainFullDisk(error: unknown, folder: string): Promise<unknown> {
  if (error instanceof DiskFull || !isFull(error)) return error;
  const { bavail, bsize } = await statfs(folder);
  return new DiskFull(folder, `${Math.floor((bavail * bsize) / MIB_BYTES)} MiB left on its disk`, { cause: error });
}

/** Whether a command or a call failed since there was no room. */
export function isFull(error: unknown): boolean {
  if (error instanceof CommandFailed) return FULL.test(error.stderr) || FULL.test(error.message);
  return error instanceof Error && 'code' in error && FULL_CODES.includes(String(error.code));
}
