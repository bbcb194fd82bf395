import { deadline, orAborted } from '../deadline.ts';
import { failpoint } from '../failpoint.ts';
import type { Machine } from './machine.ts';

/** What a guest gets beyond its own grace to sync, unmount and power off, in milliseconds. */
const POWER_OFF_MS = 5000;

/**
 * Shuts a machine down: its program gets `graceMs` to end, then the guest powers off.
 * A machine that does not do so in time is killed. Returns when nothing of it is left; calling it twice is fine.
 */
export async function haltMachine(machine: Machine, graceMs: number): Promise<void> {
  await failpoint('machine.halting');
  using limit = deadline(graceMs + POWER_OFF_MS);
  machine.halt(graceMs);
  await orAborted(machine.ended, limit.signal).catch(() => machine.kill());
  await machine.ended;
}
