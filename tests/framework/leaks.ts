import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';

const CGROUPS = '/sys/fs/cgroup';
/** Below it a node's cgroups lie this deep at most: hierarchy, service or session, node. */
const CGROUP_DEPTH = 6;
/** What has such a name is unfinished, or belongs to a node that runs. */
const UNFINISHED = /\.tmp-|\.part$|\.sock$|node\.json$/;

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

/** Whose traces are looked for: all machines of a home, or one. */
export interface Owner {
  home: string;
  homeId: string;
}

/**
 * What is left outside of files, as words for people: processes of machines and of helpers, cgroups, mounts, Unix
 * sockets. Namespaces live as long as a process or a mount holds them.
 */
export async function tracesOf({ home, homeId }: Owner): Promise<string[]> {
  const name = `vmlet-${homeId}`;
  const pids = new Set([...(await processesNaming(`${name}-`)), ...(await processesNaming(`${home}/`))]);
  pids.delete(process.pid);
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const sockets = (await readFile('/proc/net/unix', 'utf8')).split('\n');
  return [
    ...[...pids].map((pid) => `process ${pid}`),
    ...(await cgroupsNamed(name)).map((path) => `cgroup ${path}`),
    ...mounts.filter((line) => line.includes(name) || line.includes(`${home}/`)).map((line) => `mount ${line}`),
    ...sockets.filter((line) => line.includes(`${home}/`)).map((line) => `socket ${line.split(' ').at(-1)}`),
  ];
}

/** Names of files in a home that only a node leaves that did not end in order, or that runs. */
export async function unfinishedIn(home: string): Promise<string[]> {
  const entries = await readdir(home, { recursive: true });
  return entries.filter((name) => UNFINISHED.test(name));
}

/** Fails if a stopped node has left a process, a cgroup, a mount, a socket, or an unfinished file. */
export async function assertNothingLeft(owner: Owner): Promise<void> {
  const files = (await unfinishedIn(owner.home)).map((name) => `file ${name}`);
  const left = [...(await tracesOf(owner)), ...(await openIn(owner.home)), ...files];
  if (left.length > 0) throw new Error(`Something is left of the node of "${owner.home}": ${left.join(', ')}`);
}

/** Files of a home that this process still has open, where the node ran in it. */
async function openIn(home: string): Promise<string[]> {
  const open = (await openFilesOf(process.pid)).filter((target) => target.startsWith(`${home}/`));
  return open.map((path) => `open file ${path}`);
}

/** What the descriptors of a process lead to. */
export async function openFilesOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all((await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => '')));
  return targets.filter((target) => target !== '');
}

/** Folders of cgroups whose names begin with a text. */
export async function cgroupsNamed(name: string, folder = CGROUPS, depth = 0): Promise<string[]> {
  if (depth > CGROUP_DEPTH) return [];
  // Cgroups of others come and go.
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory());
  const found = folders.filter((entry) => entry.name.startsWith(name)).map((entry) => join(folder, entry.name));
  const below = await Promise.all(folders.map((entry) => cgroupsNamed(name, join(folder, entry.name), depth + 1)));
  return [...found, ...below.flat()];
}
