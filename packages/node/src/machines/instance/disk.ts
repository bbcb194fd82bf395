import { open, rm, stat } from 'node:fs/promises';
import { run } from '@vmlet/host';
import { VmletError } from '../../errors.ts';

const MIB = 1024 * 1024;

export interface DiskOptions {
  /** Size of the disk, which it keeps. Its filesystem grows into it when the guest boots. */
  sizeMiB: number;
  signal?: AbortSignal | undefined;
}

/**
 * Makes a machine's own disk of an image: a copy that takes the room of what is written only, and shares blocks with the
 * image where the host's filesystem can. On failure there is no disk.
 * @param path must not exist yet
 * @throws VmletError `DISK_TOO_SMALL`; CommandFailed, or an Error of the system
 */
export async function makeDisk(image: string, path: string, { sizeMiB, signal }: DiskOptions): Promise<void> {
  const { size } = await stat(image);
  if (sizeMiB * MIB < size)
    throw new VmletError('DISK_TOO_SMALL', { operands: { sizeMiB, imageMiB: Math.ceil(size / MIB) } });
  const disk = await open(path, 'wx', 0o600);
  try {
    // A tool of the host that copies bytes; what filesystem they are is for the guest to find out.
    await run('cp', ['--sparse=always', '--reflink=auto', '--no-preserve=mode', image, path], { signal });
    await disk.truncate(sizeMiB * MIB);
    await disk.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await disk.close();
  }
}
