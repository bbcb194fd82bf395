import type { Pool } from 'undici';
import type { LogLine, Machine } from '../machines/index.ts';
import type { RunnableProgram } from '../runtimes/index.ts';

import { keepsConnections, type Starts } from '../starts/index.ts';
import type { WakePhases } from '../timelines/index.ts';
import { connectTo } from './launcher.ts';

/** A program's machine that answers, and the way to it. */
export interface Awake {
  machine: Machine;
  /** Connections to the launcher; owned by the execution. */
  pool: Pool;
  phases: WakePhases;
}

export interface WakeOptions {
  starts: Pick<Starts, 'start'>;
  bootDeadlineMs: number;
  loadDeadlineMs: number;
  onLog: (line: LogLine) => void;
  signal: AbortSignal;
}

/**
 * Starts a program from nothing: machine, launcher, code. On any failure nothing of it is left.
 * @param prepare resolves the program to verified files
 */
export async function wake(prepare: () => Promise<RunnableProgram>, options: WakeOptions): Promise<Awake> {
  const { starts, ...start } = options;
  const begun = performance.now();
  const program = await prepare();
  const preparedMs = performance.now() - begun;
  const { machine, from, steps } = await starts.start(program, start);
  return {
    machine,
    pool: connectTo(machine, { ownServer: !keepsConnections(machine.serves) }),
    phases: { from, steps: [{ name: 'prepare', ms: preparedMs }, ...steps] },
  };
}
