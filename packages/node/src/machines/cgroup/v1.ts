import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CgroupLimits, CgroupTree, MachineCgroup } from './cgroup.ts';
import { type Place, removeTree } from './hierarchy.ts';
import { Removals } from './removals.ts';

/** Hierarchies in which a machine gets limits. */
const CONTROLLERS = ['memory', 'cpu', 'pids'] as const;
/** The period over which processor time is counted, in microseconds. The kernel's own default. */
const CPU_PERIOD_US = 100_000;
/** Of 1024 that all others have. */
const LEAST_SHARES = '2';

/**
 * Machines' cgroups in hierarchies of their own for each controller. Memory is what has to be there.
 * @param name of the node's folder in each
 * @returns undefined where the hierarchies are not mounted, or not writable
 */
export async function openV1(name: string, places: readonly Place[]): Promise<CgroupTree | undefined> {
  const folders = new Map<string, string>();
  for (const controller of CONTROLLERS) {
    const place = places.find(({ controllers }) => controllers.includes(controller));
    if (place) folders.set(controller, join(place.folder, name));
  }
  if (!folders.has('memory')) return undefined;
  for (const folder of folders.values()) {
    // What an earlier node has left of it.
    await removeTree(folder);
    await mkdir(folder, { recursive: true });
  }
  const removals = new Removals();
  return {
    version: 'v1',
    create: (machine, limits) => createIn(folders, { machine, limits, removals }),
    [Symbol.asyncDispose]: () => removals.finish([...folders.values()]),
  };
}

async function createIn(
  folders: ReadonlyMap<string, string>,
  { machine, limits, removals }: { machine: string; limits: CgroupLimits; removals: Removals },
): Promise<MachineCgroup> {
  const own = new Map([...folders].map(([controller, folder]) => [controller, join(folder, machine)]));
  const remove = () => removals.remove([...own.values()]);
  try {
    for (const [controller, folder] of own) {
      await mkdir(folder, { recursive: true });
      for (const [file, value] of settings(controller, limits)) await writeFile(join(folder, file), value);
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    entries: [...own.values()].map((folder) => join(folder, 'cgroup.procs')),
    ranOutOfMemory: async () => {
      const text = await readFile(join(own.get('memory') ?? '', 'memory.oom_control'), 'utf8').catch(() => '');
      return /^oom_kill [1-9]/m.test(text);
    },
    remove,
  };
}

function settings(controller: string, { memoryBytes, cpus, pids, background }: CgroupLimits): [string, string][] {
  if (controller === 'memory') return [['memory.limit_in_bytes', String(memoryBytes)]];
  if (controller === 'pids') return [['pids.max', String(pids)]];
  return [
    ['cpu.cfs_period_us', String(CPU_PERIOD_US)],
    ['cpu.cfs_quota_us', String(Math.round(cpus * CPU_PERIOD_US))],
    ...(background ? [['cpu.shares', LEAST_SHARES] satisfies [string, string]] : []),
  ];
}
