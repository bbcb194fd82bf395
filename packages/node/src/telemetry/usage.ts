import { readdir, readFile } from 'node:fs/promises';

/** What a tree of processes has used of its host. */
export interface ProcessUsage {
  /** Processor time of its processes since they were started, in milliseconds. */
  readonly cpuMs: number;
  /** Memory of its own and its share of what it shares, where the kernel tells that; else all that is resident. */
  readonly memoryMiB: number;
}

/** The kernel's unit of processor time in /proc is a hundredth of a second, whatever its own tick. */
const USER_HZ = 100;
const KIB = 1024;
/** A cage is a handful of processes deep; a tree that is deeper is none of ours. */
const MAX_DEPTH = 16;

/**
 * What a process and all below it use now. A process that ends meanwhile counts for nothing.
 * @param pid of the machine's first process: what confines QEMU may stand between it and QEMU
 */
export async function usageOf(pid: number): Promise<ProcessUsage> {
  const pids = await treeOf(pid, 0);
  const used = await Promise.all(pids.map(async (one) => [await cpuOf(one), await memoryOf(one)] as const));
  const [cpuMs, memoryKiB] = used.reduce<[number, number]>(([a, b], [cpu, memory]) => [a + cpu, b + memory], [0, 0]);
  return { cpuMs, memoryMiB: Math.round((memoryKiB / KIB) * 10) / 10 };
}

async function treeOf(pid: number, depth: number): Promise<number[]> {
  if (depth > MAX_DEPTH) return [];
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(threads.map((thread) => read(`/proc/${pid}/task/${thread}/children`)));
  const children = lists.join(' ').split(' ').filter(Boolean).map(Number);
  const below = await Promise.all(children.map((child) => treeOf(child, depth + 1)));
  return [pid, ...below.flat()];
}

/** Fields 14 and 15 of the line; the name before them may hold anything, brackets and blanks too. */
async function cpuOf(pid: number): Promise<number> {
  const text = await read(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1000) / USER_HZ;
}

/** In KiB. Only its own user and root get to know what a process shares. */
async function memoryOf(pid: number): Promise<number> {
  const share = /^Pss: +(\d+) kB$/m.exec(await read(`/proc/${pid}/smaps_rollup`))?.[1];
  const resident = share ?? /^VmRSS:\s+(\d+) kB$/m.exec(await read(`/proc/${pid}/status`))?.[1];
  return Number(resident ?? 0);
}

async function read(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '');
}
