import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cgroupsNaming } from './cage.ts';

/** The id that a home's machines bear in their names. */
export async function homeIdOf(home: string): Promise<string> {
  return JSON.parse(await readFile(join(home, 'home.json'), 'utf8')).id;
}

/** Process ids of the QEMUs of a home that are alive; one that is dead and not yet reaped does not count. */
export async function machinesOf(homeId: string): Promise<number[]> {
  const all = await commandLinesNaming(`vmlet-${homeId}-`);
  return [...all].filter(([, [command = '']]) => basename(command).startsWith('qemu-system')).map(([pid]) => pid);
}

/** Process ids of those that have a text in their command line: of a machine, also what stands above QEMU. */
export async function processesNaming(text: string): Promise<number[]> {
  return [...(await commandLinesNaming(text)).keys()];
}

async function commandLinesNaming(text: string): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>();
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(text)) found.set(Number(entry), commandLine.split('\0'));
  }
  return found;
}

/** Fails if a process or a cgroup is left that has a text in its command line, or in its name. */
export async function assertNothingCaged(text: string): Promise<void> {
  const [pids, cgroups] = await Promise.all([processesNaming(text), cgroupsNaming(text)]);
  if (pids.length > 0) throw new Error(`Processes are left of "${text}": ${pids.join(', ')}`);
  if (cgroups.length > 0) throw new Error(`Cgroups are left of "${text}": ${cgroups.join(', ')}`);
}

/** Fails if a stopped node has left a process, a cgroup, a socket, or an unfinished file. */
export async function assertNothingLeft({ homeId, home }: { homeId: string; home: string }): Promise<void> {
  await assertNothingCaged(`vmlet-${homeId}`);
  const entries = await readdir(home, { recursive: true });
  const left = entries.filter((name) => /\.tmp-|\.part$|\.sock$|node\.json$/.test(name));
  if (left.length > 0) throw new Error(`Files are left of the node of "${home}": ${left.join(', ')}`);
}
