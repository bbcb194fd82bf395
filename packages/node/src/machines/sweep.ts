import { readdir, readFile } from 'node:fs/promises';
import { killProcessGroup } from '@vmlet/host';

/**
 * Kills the machines of this home that an earlier node left behind, found by their names in the process list.
 * A machine owns no file, so its process is all there is to clean.
 * @returns the process ids that were killed
 */
export async function sweepMachines(namePrefix: string): Promise<number[]> {
  const killed: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const args = await commandLine(entry);
    const name = args[args.indexOf('-name') + 1];
    if (!args[0]?.includes('qemu') && !args[0]?.includes('setpriv')) continue;
    if (!args.includes('-name') || !name?.startsWith(namePrefix)) continue;
    killProcessGroup(Number(entry));
    killed.push(Number(entry));
  }
  return killed;
}

/** A process that has ended meanwhile has no command line. */
async function commandLine(pid: string): Promise<string[]> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  } catch {
    return [];
  }
}
