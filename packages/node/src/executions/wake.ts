import type { Pool } from 'undici';
import type { LogLine, Machine } from '../machines/index.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import type { Starts } from '../starts/index.ts';
import { connectTo } from './launcher.ts';

/** Interfaces of programs that bring their own HTTP server, with habits of its own. */
const OWN_SERVERS = new Set(['listen', 'executable']);

/** A program's machine that answers, and the way to it. */
export interface Awake {
  machine: Machine;
  /** Connections to the launcher; owned by the execution. */
  pool: Pool;
  phases: WakePhases;
}

/** What a machine that answers was made from, the quickest first. */
export type StartedFrom = 'paused' | 'spare' | 'program' | 'runtime' | 'boot';

/** One step of a start, in milliseconds. Its name is a word of lower-case letters. */
export interface Phase {
  name: string;
  ms: number;
}

/** How a machine came to answer: from what, and by which steps, in their order. */
export interface WakePhases {
  from: StartedFrom;
  steps: readonly Phase[];
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
    pool: connectTo(machine, { ownServer: OWN_SERVERS.has(machine.serves ?? '') }),
    phases: { from, steps: [{ name: 'prepare', ms: preparedMs }, ...steps] },
  };
}
