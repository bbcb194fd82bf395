import { readdir, readFile } from 'node:fs/promises';

const O_CLOEXEC = 0o2000000;
const LAST_STANDARD_FD = 2;

/**
 * Descriptors of this process that every child inherits, since whoever started the node left them open for it: Node.js
 * closes none. A machine gets /dev/null in their place.
 */
export async function leakedDescriptors(): Promise<number[]> {
  const fds = (await readdir('/proc/self/fd')).map(Number).filter((fd) => fd > LAST_STANDARD_FD);
  const leaked = await Promise.all(fds.map(isInherited));
  return fds.filter((_, index) => leaked[index]);
}

async function isInherited(fd: number): Promise<boolean> {
  // The one by which the list was read is gone.
  const info = await readFile(`/proc/self/fdinfo/${fd}`, 'utf8').catch(() => '');
  const flags = /^flags:\s+([0-7]+)$/m.exec(info)?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
}
