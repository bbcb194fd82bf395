import { VmletError } from '../errors.ts';
import { type Backend, bootMachine, type LogLine, loadProgram, type Machine } from '../machines/index.ts';
import { restoreMachine } from '../machines/snapshot/index.ts';
import type { ProgramFacts, RunnableProgram } from '../runtimes/index.ts';
import type { Snapshot, SnapshotInputs, Snapshots } from '../snapshots/index.ts';
import type { Logger } from '../telemetry/index.ts';
import { type HostFacts, programInputs, runtimeInputs } from './inputs.ts';
import { type FindHost, fitsPlaceholder, type HostOfProgram, loadOf, machineOf, told } from './program-machine.ts';

/** How long a machine may take from its process to the launcher's word, in milliseconds; a boot is begun then. */
const RESTORE_DEADLINE_MS = 20_000;

/** One step of a start, in milliseconds. */
export interface StartStep {
  name: 'restore' | 'resume' | 'boot' | 'load';
  ms: number;
}

/** A machine with its program loaded, what it was made from, and by which steps. */
export interface Started {
  machine: Machine;
  from: 'program' | 'runtime' | 'boot';
  steps: StartStep[];
}

export interface StartOptions {
  bootDeadlineMs: number;
  loadDeadlineMs: number;
  onLog: (line: LogLine) => void;
  signal: AbortSignal;
}

/** A start, and who answers the program's calls. */
type Hosted = StartOptions & { host: HostOfProgram | undefined };

/** Where machines are saved; without it all are booted. */
export interface Saved {
  snapshots: Snapshots;
  host: HostFacts;
}

export interface StartsComponents {
  backend: Backend;
  saved?: Saved | undefined;
  /** Without it no program has a host to call. */
  hostOf?: FindHost | undefined;
  log: Pick<Logger, 'warn'>;
}

/**
 * Starts programs' machines by the quickest way there is: from the program's snapshot, from its runtime's, by booting.
 * What is wrong with a snapshot costs time, and nothing else.
 */
export class Starts {
  readonly #components: StartsComponents;
  /** A program that may be saved was not started from its own snapshot. */
  onMissed: (program: RunnableProgram) => void = () => {};
  /** A snapshot that was whole did not become a machine, and is gone. */
  onRefused: (key: string) => void = () => {};

  constructor(components: StartsComponents) {
    this.#components = components;
  }

  /**
   * A machine with the program loaded. On any failure, abort included, nothing of it is left.
   * @throws VmletError why the machine does not boot, or the program does not load; the signal's reason
   */
  async start(program: RunnableProgram, given: StartOptions): Promise<Started> {
    const options = { ...given, host: await this.#components.hostOf?.(program) };
    const own = program.snapshot ? await this.#find(program, programInputs) : undefined;
    const restored = own && (await this.#restore(own, program, options));
    if (restored) return { ...restored, from: 'program' };
    const started = (await this.#startFromRuntime(program, options)) ?? (await this.#boot(program, options));
    if (this.#components.saved && program.snapshot) this.onMissed(program);
    return started;
  }

  /** Undefined if there is no snapshot of the runtime, or none that becomes a machine for this program. */
  async #startFromRuntime(program: RunnableProgram, options: Hosted): Promise<Started | undefined> {
    const bare = await this.#find(program, runtimeInputs);
    const fits = bare && (await fitsPlaceholder(program.codeImage));
    const restored = fits && (await this.#restore(bare, program, options));
    if (!restored) return undefined;
    const { machine, steps } = restored;
    const begun = performance.now();
    await load(machine, program, options);
    return { machine, from: 'runtime', steps: [...steps, { name: 'load', ms: performance.now() - begun }] };
  }

  async #boot(program: RunnableProgram, options: Hosted): Promise<Started> {
    const begun = performance.now();
    const machine = await bootMachine(this.#components.backend, machineOf(program, program), {
      deadlineMs: options.bootDeadlineMs,
      events: { onLog: options.onLog },
      signal: options.signal,
    });
    const booted = performance.now();
    await load(machine, program, options);
    const steps: StartStep[] = [
      { name: 'boot', ms: booted - begun },
      { name: 'load', ms: performance.now() - booted },
    ];
    return { machine, from: 'boot', steps };
  }

  /** Undefined if the snapshot does not become a machine; it is then removed. */
  async #restore(
    snapshot: Snapshot,
    program: RunnableProgram,
    { host, signal, onLog }: Hosted,
  ): Promise<Pick<Started, 'machine' | 'steps'> | undefined> {
    const { backend, saved, log } = this.#components;
    const begun = performance.now();
    try {
      const machine = await restoreMachine(backend, machineOf(program, program), {
        snapshot,
        ...(snapshot.serves === null
          ? { variables: {} }
          : { variables: told(program, host).variables, onCall: host?.onCall }),
        ...{ deadlineMs: RESTORE_DEADLINE_MS, events: { onLog }, signal },
      });
      // The request does not wait for it.
      void saved?.snapshots.touch(snapshot);
      const totalMs = performance.now() - begun;
      const restoredMs = Math.min(totalMs, machine.marks.find(({ step }) => step === 'frozen')?.atMs ?? 0);
      const steps: StartStep[] = [
        { name: 'restore', ms: restoredMs },
        { name: 'resume', ms: totalMs - restoredMs },
      ];
      return { machine, steps };
    } catch (err) {
      signal.throwIfAborted();
      const { key } = snapshot;
      if (err instanceof VmletError && err.code === 'QEMU_NOT_STARTED') {
        // No word against the snapshot: nothing came up that could have read it.
        log.warn({ err, key, itemHash: program.itemHash }, 'no process was there to restore a snapshot');
        return undefined;
      }
      log.warn({ err, key, itemHash: program.itemHash }, 'a snapshot was not restored, and is removed');
      // The guest's own words, a hook's above all: its machine was gone before its output had come.
      if (err instanceof VmletError && err.code === 'MACHINE_BOOT_FAILED') onLog(wordsOf(err));
      await saved?.snapshots.remove(key);
      this.onRefused(key);
      return undefined;
    }
  }

  async #find(
    program: RunnableProgram,
    inputsOf: (program: ProgramFacts, made: { backend: Backend; host: HostFacts }) => SnapshotInputs,
  ): Promise<Snapshot | undefined> {
    const { backend, saved } = this.#components;
    if (!saved) return undefined;
    return await saved.snapshots.find(inputsOf(program, { backend, host: saved.host }));
  }
}

function load(machine: Machine, program: RunnableProgram, { host, loadDeadlineMs, signal }: Hosted): Promise<void> {
  const options = { deadlineMs: loadDeadlineMs, onCall: host?.onCall, signal };
  return loadProgram(machine, loadOf(told(program, host)), options);
}

function wordsOf({ detail = '' }: VmletError): LogLine {
  return { type: 'log', stream: 'stderr', timeUs: Date.now() * 1000, text: `Not woken from its snapshot: ${detail}\n` };
}
