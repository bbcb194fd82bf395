import type { ItemHash } from '@vmlet/messages';
import { VmletError } from '../errors.ts';
import type { Backend } from '../machines/index.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import { Execution, type ExecutionLimits, ExecutionOver, type Lease } from './execution.ts';
import type { ProgramLogs } from './logs.ts';
import { MemoryBudget } from './memory-budget.ts';
import { Semaphore } from './semaphore.ts';
import type { ExecutionState } from './state.ts';
import { wake } from './wake.ts';

export interface ExecutionsConfig extends ExecutionLimits {
  bootDeadlineMs: number;
  loadDeadlineMs: number;
  /** Machines that boot at the same time: more than the processors only makes each of them later. */
  maxBoots: number;
  /** What all machines together may have, in MiB. */
  memoryBudgetMiB: number;
}

/** A program that is to run: how much memory it wants, and how its files are found when it starts. */
export interface Runnable {
  itemHash: ItemHash;
  memoryMiB: number;
  prepare: (signal: AbortSignal) => Promise<RunnableProgram>;
}

export interface ExecutionsComponents {
  backend: Backend;
  logs: ProgramLogs;
  config: ExecutionsConfig;
}

/** What is known of a program's execution at this moment. */
export interface ExecutionInfo {
  itemHash: ItemHash;
  state: ExecutionState;
  inFlight: number;
  served: number;
  startedMs: number;
  pid: number | undefined;
}

/** All executions of a node: one machine at a time for each program, many programs side by side. */
export class Executions implements AsyncDisposable {
  readonly #components: ExecutionsComponents;
  readonly #current = new Map<ItemHash, Execution>();
  /** Those on their way out too, by the program that each runs. */
  readonly #all = new Map<Execution, ItemHash>();
  readonly #boots: Semaphore;
  readonly #memory: MemoryBudget;
  #stopping = false;

  constructor(components: ExecutionsComponents) {
    this.#components = components;
    this.#boots = new Semaphore(components.config.maxBoots);
    this.#memory = new MemoryBudget(components.config.memoryBudgetMiB);
  }

  /**
   * Waits for a place at a machine of the program, and wakes one if there is none. Callers at the same time share it.
   * @throws VmletError why the program does not start, `QUEUE_FULL`, `NODE_FULL`, `NODE_STOPPING`; the signal's reason
   */
  async acquire(program: Runnable, signal: AbortSignal): Promise<Lease> {
    for (;;) {
      if (this.#stopping) throw new VmletError('NODE_STOPPING');
      const execution = this.#executionOf(program);
      try {
        return await execution.acquire(signal);
      } catch (error) {
        // It was stopped while this request waited in its line; the request was never sent, so it may join another.
        if (!(error instanceof ExecutionOver)) throw error;
      }
    }
  }

  list(): ExecutionInfo[] {
    return [...this.#current].map(([itemHash, execution]) => ({
      itemHash,
      state: execution.state,
      inFlight: execution.inFlight,
      served: execution.served,
      startedMs: execution.startedMs,
      pid: execution.pid,
    }));
  }

  /** Stops a program's machines, those that finish their last requests too. Returns when nothing of them is left. */
  async stop(itemHash: ItemHash, reason: string): Promise<void> {
    const those = [...this.#all].filter(([, program]) => program === itemHash);
    await Promise.all(those.map(([execution]) => execution.stop(reason)));
  }

  /** Takes no request any more and stops every machine. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#all.keys()].map((execution) => execution.stop('the node is stopping')));
    await this.#components.logs.flushed();
  }

  #executionOf(program: Runnable): Execution {
    const current = this.#current.get(program.itemHash);
    if (current?.accepting) return current;
    const { backend, logs, config } = this.#components;
    const held = new DisposableStack();
    const log = logs.of(program.itemHash);
    const execution = new Execution({
      limits: config,
      log,
      wake: async (signal) => {
        held.use(await this.#memory.reserve(program.memoryMiB, { evict: () => this.#evict(), signal }));
        using _place = await this.#boots.acquire(signal);
        // Awaited here: the place is given back on return.
        return await wake(() => program.prepare(signal), {
          backend,
          bootDeadlineMs: config.bootDeadlineMs,
          loadDeadlineMs: config.loadDeadlineMs,
          onLog: (line) => log.output(line.stream, line.text, line.timeUs / 1000),
          signal,
        });
      },
    });
    this.#current.set(program.itemHash, execution);
    this.#all.set(execution, program.itemHash);
    void execution.ended.then(() => {
      held.dispose();
      this.#all.delete(execution);
      if (this.#current.get(program.itemHash) === execution) this.#current.delete(program.itemHash);
    });
    return execution;
  }

  /** Stops the idle machine that was started first; false if all are busy and none is on its way out. */
  #evict(): boolean {
    const all = [...this.#all.keys()];
    if (all.some((execution) => execution.leaving)) return true;
    const idle = all.find((execution) => execution.state === 'running' && execution.inFlight === 0);
    void idle?.stop('its memory is needed for another program');
    return idle !== undefined;
  }
}
