import type { ItemHash } from '@vmlet/messages';
import type { RunnableProgram } from '../runtimes/index.ts';
import type { ExecutionLimits } from './execution.ts';

export interface ExecutionsConfig extends ExecutionLimits {
  bootDeadlineMs: number;
  loadDeadlineMs: number;
  /** Machines that start at the same time: more than the processors only makes each of them later. */
  maxBoots: number;
  /** What all machines together may have, in MiB. */
  memoryBudgetMiB: number;
  /** What of it spares may have, in MiB; 0 for none. */
  spareBudgetMiB: number;
  /** Starts that may wait for memory. */
  maxWaiting: number;
  /** How long one may wait for it, in milliseconds. */
  memoryWaitMs: number;
}

/** A program that is to run: how much memory it wants, and how its files are found when it starts. */
export interface Runnable {
  itemHash: ItemHash;
  /** Whose machine it is, as its meter knows owners. */
  owner: string;
  vcpus: number;
  memoryMiB: number;
  /** It works without being asked: its machine is never paused. */
  neverPaused?: boolean;
  /** A path of the program's own that a spare of it is warmed up with. */
  primePath?: string;
  prepare: (signal: AbortSignal) => Promise<RunnableProgram>;
}
