import { readFile } from 'node:fs/promises';
import { run } from '@vmlet/host';
import { openLab } from '../tests/framework/clones.ts';
import { PYTHON_HELLO } from './programs.ts';
import type { Samples } from './round-robin.ts';

/** Clones that are there before one more counts, and how many more there are. */
const CLONES = 20;
const MARGINAL_CLONES = 10;

/**
 * Memory of one more machine when 20 clones of a snapshot run and have answered: what the sum over the processes of all
 * grows by, pages that several have being counted in parts (PSS).
 */
export async function clonePss(): Promise<Samples> {
  const { signal } = new AbortController();
  await using lab = await openLab('debian-12-python', { signal });
  const snapshot = await lab.snapshot(
    { files: { 'main.py': PYTHON_HELLO }, entrypoint: 'main:app', launcher: 'python' },
    { level: 'program' },
  );
  await using clones = new AsyncDisposableStack();
  const pids: number[] = [];
  const sums: number[] = [];
  for (let count = 1; count <= CLONES + MARGINAL_CLONES; count++) {
    const clone = clones.use(await snapshot.clone());
    await clone.get('/');
    pids.push(clone.machine.pid);
    if (count >= CLONES) sums.push(await pssMiB(pids));
  }
  return { 'clone-pss-mb': sums.slice(1).map((sum, index) => sum - (sums[index] ?? 0)) };
}

async function pssMiB(pids: readonly number[]): Promise<number> {
  // Pages of a file that are not on disk yet would count as one machine's own.
  await run('sync', []);
  const kibs = await Promise.all(pids.map(pssKiB));
  return kibs.reduce((sum, kib) => sum + kib, 0) / 1024;
}

/** Of a process and those below it: a machine is QEMU and what confines it. */
async function pssKiB(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const own = Number(/^Pss: +(\d+) kB$/m.exec(rollup)?.[1] ?? 0);
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean);
  const below = await Promise.all(children.map((child) => pssKiB(Number(child))));
  return below.reduce((sum, kib) => sum + kib, own);
}
