import { statfs } from 'node:fs/promises';
import { CommandFailed } from '@vmlet/host';

/** Words of the C library's, which most commands use: no space, over a quota, over the limit of a file's size. */
const FULL = /No space left on device|Disk quota exceeded|File too large|File size limit exceeded/i;
/** Those of tar, and of apt. */
const FULL_TOO = /Wrote only \d+ of \d+ bytes|don't have enough free space/;
/** A shell's, for a command that was ended for a file over the limit. */
const EXIT_BY_SIGXFSZ = 128 + 25;
const FULL_CODES = ['ENOSPC', 'EDQUOT', 'EFBIG'];
const MIB = 1024 * 1024;
/** A disk that has no more than this left is full. */
const MAX_FULL_BYTES = 65_536;

/** There is no room for what is built; nothing of it is left. */
export class DiskFull extends Error {
  override readonly name = 'DiskFull';
  /** Where it was to be. */
  readonly folder: string;
  constructor(folder: string, found: string, options: { cause: unknown }) {
    super(`Cannot build in "${folder}": ${found}, expected room for the runtime's files and its image`, options);
    this.folder = folder;
  }
}

/**
 * What to say of a build's error, once nothing of it is left: a DiskFull if a disk was full, else the error itself.
 * @param folder where builds are made
 */
export async function explainFullDisk(error: unknown, folder: string): Promise<unknown> {
  return error instanceof DiskFull || isFull(error) ? diskFull(folder, error) : error;
}

/**
 * The same while what was being written is still there: a command that fails on a full disk fails for that, whatever it
 * says. mkfs.btrfs says "Input/output error".
 */
export async function explainFailure(error: unknown, folder: string): Promise<unknown> {
  if (!(error instanceof CommandFailed)) return error;
  const { bavail, bsize } = await statfs(folder);
  return isFull(error) || bavail * bsize < MAX_FULL_BYTES ? diskFull(folder, error) : error;
}

async function diskFull(folder: string, cause: unknown): Promise<DiskFull> {
  const { bavail, bsize } = await statfs(folder);
  const free = `${Math.floor((bavail * bsize) / MIB)} MiB`;
  return new DiskFull(folder, `its disk is full, of which ${free} are free without this build`, { cause });
}

/** Whether a command or a call failed since there was no room. */
export function isFull(error: unknown): boolean {
  if (error instanceof CommandFailed && error.exitCode === EXIT_BY_SIGXFSZ) return true;
  if (error instanceof CommandFailed) return FULL.test(error.stderr) || FULL_TOO.test(error.stderr);
  return error instanceof Error && 'code' in error && FULL_CODES.includes(String(error.code));
}
