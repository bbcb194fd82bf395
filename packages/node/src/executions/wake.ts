import type { Pool } from 'undici';
import { type Backend, bootMachine, type LogLine, loadProgram, type Machine } from '../machines/index.ts';
import { programLabel } from '../program-label.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import { connectTo, GUEST_HTTP_PORT, launcherEnvironment } from './launcher.ts';

/** The last drive: vda is the runtime, and vdb the boot kit where there is one. */
const CODE_DEVICES = { kit: '/dev/vdc', image: '/dev/vdb' };

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
  backend: Backend;
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
  const { backend, signal } = options;
  const started = performance.now();
  const program = await prepare();
  const prepared = performance.now();
  const machine = await bootMachine(backend, machineOf(program), {
    deadlineMs: options.bootDeadlineMs,
    events: { onLog: options.onLog },
    signal,
  });
  const booted = performance.now();
  const load = {
    code: { device: CODE_DEVICES[program.launch.init] },
    entrypoint: program.launch.entrypoint,
    interface: program.launch.interface,
    ...(program.launch.args.length > 0 ? { args: program.launch.args } : {}),
    variables: program.variables,
    port: GUEST_HTTP_PORT,
  };
  await loadProgram(machine, load, { deadlineMs: options.loadDeadlineMs, signal });
  return {
    machine,
    pool: connectTo(machine, { ownServer: OWN_SERVERS.has(machine.serves ?? '') }),
    phases: {
      from: 'boot',
      steps: [
        { name: 'prepare', ms: prepared - started },
        { name: 'boot', ms: booted - prepared },
        { name: 'load', ms: performance.now() - booted },
      ],
    },
  };
}

function machineOf(program: RunnableProgram) {
  return {
    runtimeImage: program.runtimeImage,
    codeImage: program.codeImage,
    init: program.launch.init,
    vcpus: program.vcpus,
    memoryMiB: program.memoryMiB,
    internet: false,
    hostname: programLabel(program.itemHash),
    launcher: { argv: program.launch.argv, env: launcherEnvironment },
  };
}
