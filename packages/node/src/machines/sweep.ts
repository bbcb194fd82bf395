import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** The commands by which a machine's process comes to be, each in the place of the one before; bwrap stays above it. */
const CHAIN = new Set(['setpriv', 'sh', 'prlimit', 'bwrap', 'qemu-system-x86_64']);

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
    if (!CHAIN.has(basename(args[0] ?? ''))) continue;
    if (!args.includes('-name') || !name?.startsWith(namePrefix)) continue;
    if (kill(Number(entry))) killed.push(Number(entry));
  }
  return killed;
}

/** QEMU starts no process of its own, so one signal is enough. What has ended meanwhile, or is another's, is left. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ESRCH' || code === 'EPERM') return false;
    throw error;
  }
}

/** A process that has ended meanwhile has no command line. */
async function commandLine(pid: string): Promise<string[]> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  } catch {
    return [];
  }
}
