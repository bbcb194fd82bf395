import { readFileSync } from 'node:fs';

/** Linux counts processor time in these for every program that asks (USER_HZ). In a second. */
const TICKS_PER_SECOND = 100;

/** Processor time that a process and its children have used so far; a child that comes and goes between is not seen. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name in parentheses may hold anything; user and system time are 11 and 12 fields behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
  return children.reduce((sum, child) => sum + cpuSecondsOf(child), own);
}
