import type { ItemHash } from '@vmlet/messages';
import { orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import type { Starts, Turn } from '../starts/index.ts';
import type { WakePhases } from '../timelines/index.ts';
import { CpuMeter, type OwnerMeter } from './cpu.ts';
import { Execution, type ExecutionLimits, ExecutionOver, type Lease } from './execution.ts';
import type { ProgramLogs } from './logs.ts';
import { MemoryBudget } from './memory-budget.ts';
import { Semaphore } from './semaphore.ts';
import type { ExecutionState } from './state.ts';
import { wake } from './wake.ts';

/** How long the requests of a machine may go on after another one has taken its place, in milliseconds. */
const RETIRE_MS = 60_000;

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
  /** Whose machine it is, as its meter knows owners. */
  owner: string;
  vcpus: number;
  memoryMiB: number;
  prepare: (signal: AbortSignal) => Promise<RunnableProgram>;
}

export interface ExecutionsComponents {
  starts: Pick<Starts, 'start'>;
  logs: ProgramLogs;
  config: ExecutionsConfig;
  owners: OwnerMeter;
}

/** What is known of a program's execution at this moment. */
export interface ExecutionInfo {
  itemHash: ItemHash;
  state: ExecutionState;
  inFlight: number;
  served: number;
  /** Whether its owner has had a session in the machine. */
  touched: boolean;
  startedMs: number;
  pid: number | undefined;
}

/** All executions of a node: one machine at a time for each program, many programs side by side. */
export class Executions implements AsyncDisposable {
  readonly #components: ExecutionsComponents;
  readonly #current = new Map<ItemHash, Execution>();
  /** Those that will take the place of the current one when they are up. */
  readonly #next = new Map<ItemHash, Execution>();
  /** Those on their way out too, by the program that each runs. */
  readonly #all = new Map<Execution, Pick<Runnable, 'itemHash' | 'owner'>>();
  readonly #boots: Semaphore;
  readonly #memory: MemoryBudget;
  /** Those that have their memory: from the moment it is set aside until nothing of them is left. */
  readonly #holding = new Set<Execution>();
  /** Machines in the background, whose memory any request may have. */
  readonly #turns = new Set<{ itemHash: ItemHash; back: AbortController; over: PromiseWithResolvers<void> }>();
  #stopping = false;

  constructor(components: ExecutionsComponents) {
    this.#components = components;
    this.#boots = new Semaphore(components.config.maxBoots);
    this.#memory = new MemoryBudget(components.config.memoryBudgetMiB);
  }

  /**
   * Waits for a place at a machine of the program, and wakes one if there is none. Callers at the same time share it.
   * @throws VmletError why the program does not start, `QUEUE_FULL`, `NODE_FULL`, `NODE_STOPPING`, or that its owner
   *   has enough; the signal's reason
   */
  async acquire(program: Runnable, signal: AbortSignal): Promise<Lease> {
    for (;;) {
      if (this.#stopping) throw new VmletError('NODE_STOPPING');
      this.#components.owners.mayUseCpu(program.owner);
      const execution = this.#executionOf(program);
      try {
        return await execution.acquire(signal);
      } catch (error) {
        // It was stopped while this request waited in its line; the request was never sent, so it may join another.
        if (!(error instanceof ExecutionOver)) throw error;
      }
    }
  }

  /**
   * Starts a fresh machine of the program and lets the one that runs finish what it has; it goes on serving until the
   * new one is up, and if that does not start.
   * @returns the cold start, or undefined if the machine was another's doing
   * @throws what `acquire` throws
   */
  async restart(program: Runnable, signal: AbortSignal): Promise<WakePhases | undefined> {
    const old = this.#current.get(program.itemHash);
    if (this.#stopping || !old?.accepting || old.state !== 'running') return await this.#start(program, signal);
    if (this.#next.has(program.itemHash))
      throw new VmletError('PROGRAM_RESTARTING', { operands: { itemHash: program.itemHash } });
    const next = this.#begin(program);
    this.#next.set(program.itemHash, next);
    try {
      using lease = await next.acquire(signal);
      this.#current.set(program.itemHash, next);
      old.retire('a new machine has taken its place', { withinMs: RETIRE_MS });
      return lease.phases;
    } catch (error) {
      void next.stop('it is not needed');
      if (!(error instanceof ExecutionOver)) throw error;
      // Somebody stopped all machines of the program meanwhile.
      return await this.#start(program, signal);
    } finally {
      this.#next.delete(program.itemHash);
    }
  }

  /**
   * Room for a machine of a program that no request waits for, when there is nothing else to do. It is taken back, by
   * the turn's signal, as soon as its memory is wanted for a request, or the program is stopped.
   * @throws VmletError `NODE_FULL` if there is never room; the signal's reason
   */
  async turn({ itemHash, memoryMiB }: Pick<Runnable, 'itemHash' | 'memoryMiB'>, signal: AbortSignal): Promise<Turn> {
    await this.#boots.idle(signal);
    const memory = await this.#memory.reserveIdle(memoryMiB, signal);
    const turn = { itemHash, back: new AbortController(), over: Promise.withResolvers<void>() };
    this.#turns.add(turn);
    return {
      signal: turn.back.signal,
      [Symbol.dispose]: () => {
        this.#turns.delete(turn);
        memory[Symbol.dispose]();
        turn.over.resolve();
      },
    };
  }

  list(): ExecutionInfo[] {
    return [...this.#current].map(([itemHash, execution]) => ({
      itemHash,
      state: execution.state,
      inFlight: execution.inFlight,
      served: execution.served,
      touched: execution.touched,
      startedMs: execution.startedMs,
      pid: execution.pid,
    }));
  }

  /** Stops a program's machines, those that finish their last requests too. Returns when nothing of them is left. */
  async stop(itemHash: ItemHash, reason: string): Promise<void> {
    const those = [...this.#all].filter(([, program]) => program.itemHash === itemHash);
    const turns = [...this.#turns].filter((turn) => turn.itemHash === itemHash);
    for (const { back } of turns) back.abort(new Error(reason));
    await Promise.all([
      ...those.map(([execution]) => execution.stop(reason)),
      ...turns.map(({ over }) => over.promise),
    ]);
  }

  /** Takes no request any more and stops every machine. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#all.keys()].map((execution) => execution.stop('the node is stopping')));
    await this.#components.logs.flushed();
  }

  async #start(program: Runnable, signal: AbortSignal): Promise<WakePhases | undefined> {
    using lease = await this.acquire(program, signal);
    return lease.phases;
  }

  #executionOf(program: Runnable): Execution {
    const current = this.#current.get(program.itemHash);
    if (current?.accepting) return current;
    const next = this.#next.get(program.itemHash);
    const execution = next?.accepting ? next : this.#begin(program);
    this.#current.set(program.itemHash, execution);
    return execution;
  }

  /** Begins an execution; who asks for it makes it the current one. */
  #begin(program: Runnable): Execution {
    const { starts, logs, config, owners } = this.#components;
    const held = new DisposableStack();
    const log = logs.of(program.itemHash);
    const cpu = new CpuMeter((seconds) => owners.charge(program.owner, seconds), program.vcpus);
    const execution = new Execution({
      limits: config,
      log,
      cpu,
      mayGoOn: () => owners.mayUseCpu(program.owner),
      wake: async (signal) => {
        held.use(await this.#ownerPlace(program, signal));
        held.use(await this.#memory.reserve(program.memoryMiB, { evict: () => this.#evict(), signal }));
        this.#holding.add(execution);
        await failpoint('memory.reserved');
        using _place = await this.#boots.acquire(signal);
        cpu.begin();
        // Awaited here: the place is given back on return.
        return await wake(() => program.prepare(signal), {
          starts,
          bootDeadlineMs: config.bootDeadlineMs,
          loadDeadlineMs: config.loadDeadlineMs,
          onLog: (line) => log.output(line.stream, line.text, line.timeUs / 1000),
          signal,
        });
      },
    });
    this.#all.set(execution, program);
    void execution.ended.then(() => {
      this.#holding.delete(execution);
      held.dispose();
      this.#all.delete(execution);
      if (this.#current.get(program.itemHash) === execution) this.#current.delete(program.itemHash);
    });
    return execution;
  }

  /** A machine within the owner's own bounds; an idle one of theirs goes for it. */
  async #ownerPlace({ owner, memoryMiB }: Runnable, signal: AbortSignal): Promise<Disposable> {
    for (;;) {
      try {
        return this.#components.owners.reserve(owner, memoryMiB);
      } catch (error) {
        const theirs = [...this.#all].filter(([, program]) => program.owner === owner).map(([execution]) => execution);
        const leaving = theirs.find((one) => one.leaving) ?? theirs.find(isIdle);
        if (leaving === undefined) throw error;
        void leaving.stop('its owner has another program that needs its place');
        await orAborted(leaving.ended, signal);
      }
    }
  }

  /** Stops the idle machine that was started first; false if all are busy and none is on its way out. */
  #evict(): boolean {
    for (const { back } of this.#turns) back.abort(new Error('its memory is needed for a request'));
    if (this.#turns.size > 0) return true;
    const holding = [...this.#holding];
    if (holding.some((execution) => execution.leaving || execution.state === 'ended')) return true;
    const idle = holding.find(isIdle);
    void idle?.stop('its memory is needed for another program');
    return idle !== undefined;
  }
}

function isIdle(execution: Execution): boolean {
  return execution.state === 'running' && execution.inFlight === 0;
}
