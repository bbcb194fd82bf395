import type { Duplex } from 'node:stream';
import type { Pool } from 'undici';
import type { LogLine, Machine } from '../machines/index.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import { keepsConnections, portOf } from '../starts/environment/index.ts';
import type { Starts } from '../starts/index.ts';
import type { WakePhases } from '../timelines/index.ts';
import { connectTo } from './launcher.ts';

/** A program's machine that answers, and the way to it. */
export interface Awake {
  machine: Machine;
  /** Connections to the launcher; owned by the execution. */
  pool: Pool;
  /** One more connection to where the program serves. */
  connect(signal?: AbortSignal): Promise<Duplex>;
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
  const port = portOf(program.launch);
  return {
    machine,
    pool: connectTo(machine, { port, ownServer: !keepsConnections(machine.serves) }),
    connect: (signal) => machine.connect(port, signal),
    phases: { from, steps: [{ name: 'prepare', ms: preparedMs }, ...steps] },
  };
}
