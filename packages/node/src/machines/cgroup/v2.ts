import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CgroupLimits, CgroupTree, MachineCgroup } from './cgroup.ts';
import { removeTree } from './hierarchy.ts';
import { Removals } from './removals.ts';

const CONTROLLERS = ['memory', 'cpu', 'pids'];
const CPU_PERIOD_US = 100_000;
/** Of 100 that all others have. */
const LEAST_WEIGHT = '1';

/**
 * Machines' cgroups in the unified hierarchy. A cgroup that hands controllers down holds no process of its own, so the
 * node moves itself into a leaf first; it does so only where it is alone in its cgroup, as in a service of its own.
 * @param own the folder of this process's cgroup
 * @returns undefined where the controllers are not there, or others share the cgroup
 */
export async function openV2(name: string, own: string): Promise<CgroupTree | undefined> {
  const available = await words(join(own, 'cgroup.controllers'));
  if (!CONTROLLERS.every((controller) => available.includes(controller))) return undefined;
  const parent = join(own, name);
  // What an earlier node has left of it.
  await removeTree(parent);
  const leaf = join(own, `${name}-node`);
  const handedDown = await words(join(own, 'cgroup.subtree_control'));
  const ready = CONTROLLERS.every((controller) => handedDown.includes(controller));
  if (!ready) {
    const members = await words(join(own, 'cgroup.procs'));
    if (members.some((pid) => pid !== String(process.pid))) return undefined;
    await mkdir(leaf, { recursive: true });
    await writeFile(join(leaf, 'cgroup.procs'), String(process.pid));
    await enable(own);
  }
  await mkdir(parent, { recursive: true });
  await enable(parent);
  const removals = new Removals();
  return {
    version: 'v2',
    create: (machine, limits) => createIn(join(parent, machine), { limits, removals }),
    [Symbol.asyncDispose]: async () => {
      await removals.finish([parent]);
      if (!ready) await leave(leaf, own);
    },
  };
}

async function createIn(
  folder: string,
  { limits, removals }: { limits: CgroupLimits; removals: Removals },
): Promise<MachineCgroup> {
  const remove = () => removals.remove([folder]);
  await mkdir(folder);
  try {
    await writeFile(join(folder, 'memory.max'), String(limits.memoryBytes));
    await writeFile(join(folder, 'cpu.max'), `${Math.round(limits.cpus * CPU_PERIOD_US)} ${CPU_PERIOD_US}`);
    await writeFile(join(folder, 'pids.max'), String(limits.pids));
    if (limits.background) await writeFile(join(folder, 'cpu.weight'), LEAST_WEIGHT);
    // Swap has a limit of its own where there is swap at all.
    await writeFile(join(folder, 'memory.swap.max'), '0').catch(ignoreAbsent);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    entries: [join(folder, 'cgroup.procs')],
    ranOutOfMemory: async () => /^oom_kill [1-9]/m.test(await readFile(join(folder, 'memory.events'), 'utf8')),
    remove,
  };
}

/** Back to where it was. Where machines are still there the kernel refuses, and all stays as it is. */
async function leave(leaf: string, own: string): Promise<void> {
  try {
    await writeFile(join(own, 'cgroup.subtree_control'), CONTROLLERS.map((name) => `-${name}`).join(' '));
    await writeFile(join(own, 'cgroup.procs'), String(process.pid));
    await removeTree(leaf);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
  }
}

async function enable(folder: string): Promise<void> {
  await writeFile(join(folder, 'cgroup.subtree_control'), CONTROLLERS.map((name) => `+${name}`).join(' '));
}

async function words(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).split(/\s+/).filter((word) => word !== '');
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT' && error.code !== 'EACCES') throw error;
}
