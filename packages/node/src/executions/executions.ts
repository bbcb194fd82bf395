import type { ItemHash } from '@vmlet/messages';
import { VmletError } from '../errors.ts';
import type { Starts, Turn } from '../starts/index.ts';
import type { WakePhases } from '../timelines/index.ts';
import type { OwnerMeter } from './cpu.ts';
import { Demand } from './demand.ts';
import { type Execution, ExecutionOver, type Lease } from './execution.ts';
import type { ProgramLogs } from './logs.ts';
import { Places } from './places.ts';
import type { ExecutionsConfig, Runnable } from './runnable.ts';
import { Spares } from './spares.ts';
import { EXECUTION_STATES, type ExecutionState } from './state.ts';

/** How long the requests of a machine may go on after another one has taken its place, in milliseconds. */
const RETIRE_MS = 60_000;

export interface ExecutionsComponents {
  starts: Pick<Starts, 'start'>;
  logs: ProgramLogs;
  config: ExecutionsConfig;
  owners: OwnerMeter;
}

/** What is known of a program's execution at this moment. */
export interface ExecutionInfo {
  itemHash: ItemHash;
  /** `spare` if there is nothing else of it. */
  state: ExecutionState;
  inFlight: number;
  served: number;
  /** Whether its owner has had a session in the machine. */
  touched: boolean;
  startedMs: number;
  pid: number | undefined;
  /** Machines that wait for it to be asked more, ready or in the making. */
  spares: number;
}

/** To what a program's machine may be brought by hand. */
export type Temperature = 'paused' | 'spare' | 'snapshot';

/**
 * All executions of a node: one machine at a time for each program, many programs side by side; and a second one beside
 * it while all places at the first are taken, if there is a spare.
 */
export class Executions implements AsyncDisposable {
  /** All that a row of `list` may have. */
  static readonly states = EXECUTION_STATES;
  readonly #components: ExecutionsComponents;
  readonly #current = new Map<ItemHash, Execution>();
  /** Those that take what the current one has no place for. */
  readonly #beside = new Map<ItemHash, Execution>();
  /** Those that will take the place of the current one when they are up. */
  readonly #next = new Map<ItemHash, Execution>();
  readonly #demand = new Demand();
  readonly #places: Places;
  readonly #spares: Spares;
  #stopping = false;

  constructor(components: ExecutionsComponents) {
    this.#components = components;
    this.#places = new Places({
      ...components,
      demand: this.#demand,
      onCrowded: () => this.#spares.yield(),
      onStarted: () => this.#spares.consider(),
    });
    this.#spares = new Spares({
      budgetMiB: components.config.spareBudgetMiB,
      demand: this.#demand,
      begin: (program) => this.#begin(program, { ahead: true }),
      isQuiet: () => this.#places.isQuiet,
      wants: (itemHash) => this.#wantsSpare(itemHash),
    });
  }

  /**
   * Waits for a place at a machine of the program, and wakes one if there is none. Callers at the same time share it.
   * @throws VmletError why the program does not start, `QUEUE_FULL`, `NODE_FULL`, `NODE_STOPPING`, or that its owner
   *   has enough; the signal's reason
   */
  async acquire(program: Runnable, signal: AbortSignal): Promise<Lease> {
    this.#demand.note(program.itemHash, performance.now());
    for (;;) {
      if (this.#stopping) throw new VmletError('NODE_STOPPING');
      this.#components.owners.mayUseCpu(program.owner);
      const execution = this.#executionOf(program);
      try {
        const lease = await execution.acquire(signal);
        if (lease.phases) this.#spares.learn(program, lease.phases.from);
        if (isLoaded(execution, this.#components.config)) this.#spares.consider();
        return lease;
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
  async restart(
    program: Runnable,
    signal: AbortSignal,
    { withinMs = RETIRE_MS }: { withinMs?: number } = {},
  ): Promise<WakePhases | undefined> {
    const old = this.#current.get(program.itemHash);
    if (this.#stopping || !old?.accepting || old.state === 'waking') return await this.#start(program, signal);
    if (this.#next.has(program.itemHash))
      throw new VmletError('PROGRAM_RESTARTING', { operands: { itemHash: program.itemHash } });
    const next = this.#begin(program);
    this.#next.set(program.itemHash, next);
    try {
      using lease = await next.acquire(signal);
      const replaced = [this.#current, this.#beside].map((those) => those.get(program.itemHash));
      this.#current.set(program.itemHash, next);
      this.#beside.delete(program.itemHash);
      for (const one of replaced) one?.retire('a new machine has taken its place', { withinMs });
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

  /** Whether a program has a machine that takes requests, or is about to have one. */
  isServing(itemHash: ItemHash): boolean {
    return [this.#current, this.#beside, this.#next].some((those) => those.get(itemHash)?.accepting === true);
  }

  /**
   * Puts a fresh machine in the place of each that was started before now, as `restart` does: what a program is made of is
   * another now. Nothing happens where there is none; the next start is a fresh one anyhow.
   * @param options.withinMs how long the requests of the machine may go on that is replaced
   * @throws what `acquire` throws; then the old machine goes on serving
   */
  async replace(program: Runnable, options: { signal: AbortSignal; withinMs: number }): Promise<void> {
    const { itemHash } = program;
    const { signal, withinMs } = options;
    this.#spares.renew(itemHash);
    await this.#places.endTurns(itemHash, 'its program has been updated');
    // One that is starting may have looked up its files already.
    for (let one = this.#starting(itemHash); one; one = this.#starting(itemHash)) await settled(one, signal);
    if (this.isServing(itemHash)) await this.restart(program, signal, { withinMs });
  }

  /**
   * Lets the machines of a program finish the requests that they have or that wait for them, and ends them then; when
   * `withinMs` is over whatever they do. Resolves when none of them takes a request any more.
   */
  async retire(itemHash: ItemHash, { reason, withinMs }: { reason: string; withinMs: number }): Promise<void> {
    this.#spares.forget(itemHash);
    await this.#places.endTurns(itemHash, reason);
    const those = [...this.#places.all].filter(([, program]) => program.itemHash === itemHash);
    const never = new AbortController().signal;
    await Promise.all(
      those.map(async ([execution]) => {
        if (execution.state === 'waking' || execution.state === 'resuming') await settled(execution, never);
        execution.retire(reason, { withinMs, isDrained: true });
      }),
    );
  }

  /** Room for a machine of a program that no request waits for; {@link Places.turn} says more. */
  turn(program: Pick<Runnable, 'itemHash' | 'memoryMiB'>, signal: AbortSignal): Promise<Turn> {
    return this.#places.turn(program, signal);
  }

  /** One row for each program that has a machine, in whatever state. */
  list(): ExecutionInfo[] {
    const spares = [...this.#spares.programs()].flatMap((itemHash): [ItemHash, Execution][] => {
      const execution = this.#spares.of(itemHash);
      return execution?.state === 'spare' ? [[itemHash, execution]] : [];
    });
    return [...new Map([...spares, ...this.#beside, ...this.#current])].map(([itemHash, execution]) => ({
      itemHash,
      state: execution.state,
      inFlight: execution.inFlight,
      served: execution.served,
      touched: execution.touched,
      startedMs: execution.startedMs,
      pid: execution.pid,
      spares: this.#spares.of(itemHash) ? 1 : 0,
    }));
  }

  /** Stops a program's machines, those that finish their last requests too. Returns when nothing of them is left. */
  async stop(itemHash: ItemHash, reason: string): Promise<void> {
    this.#spares.forget(itemHash);
    const those = [...this.#places.all].filter(([, program]) => program.itemHash === itemHash);
    await Promise.all([...those.map(([execution]) => execution.stop(reason)), this.#places.endTurns(itemHash, reason)]);
  }

  /**
   * Brings a program to a temperature now: its machine paused, started if there was none; or no machine, and a spare;
   * or nothing but what is on disk, until it is asked again.
   * @throws VmletError `PROGRAM_NOT_COOLED` if requests are under way; what `acquire` throws
   */
  async cool(program: Runnable, { to, signal }: { to: Temperature; signal: AbortSignal }): Promise<void> {
    const refused = (found: string) => new VmletError('PROGRAM_NOT_COOLED', { operands: { to, found } });
    const current = this.#current.get(program.itemHash);
    if ((current?.inFlight ?? 0) > 0) throw refused('requests are under way');
    if (to === 'paused') {
      await this.#start(program, signal);
      const isPaused = await this.#current.get(program.itemHash)?.pause();
      if (!isPaused) throw refused('its machine may not be paused, or was asked meanwhile');
      return;
    }
    await this.stop(program.itemHash, `its owner wants it to be no more than a ${to}`);
    if (to === 'spare' && !(await this.#spares.make(program))) {
      throw refused('no memory is free, or the start has failed: its log says why');
    }
  }

  /** Takes no request any more and stops every machine. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#spares[Symbol.dispose]();
    await Promise.all([...this.#places.all.keys()].map((execution) => execution.stop('the node is stopping')));
    await this.#components.logs.flushed();
  }

  #starting(itemHash: ItemHash): Execution | undefined {
    const current = this.#current.get(itemHash);
    return this.#next.get(itemHash) ?? (current?.state === 'waking' && current.accepting ? current : undefined);
  }

  async #start(program: Runnable, signal: AbortSignal): Promise<WakePhases | undefined> {
    using lease = await this.acquire(program, signal);
    return lease.phases;
  }

  #begin(program: Runnable, options: { ahead?: boolean } = {}): Execution {
    const execution = this.#places.begin(program, options);
    void execution.ended.then(() => {
      for (const those of [this.#current, this.#beside]) {
        if (those.get(program.itemHash) === execution) those.delete(program.itemHash);
      }
      this.#spares.consider();
    });
    return execution;
  }

  #executionOf(program: Runnable): Execution {
    const { itemHash } = program;
    const current = this.#current.get(itemHash);
    if (current?.accepting && !current.isFull) return current;
    const beside = this.#beside.get(itemHash);
    if (!current?.accepting) {
      const next = this.#next.get(itemHash);
      const other = [beside, next].find((one) => one?.accepting);
      const execution = other ?? this.#spares.take(itemHash) ?? this.#begin(program);
      if (execution === beside) this.#beside.delete(itemHash);
      this.#current.set(itemHash, execution);
      return execution;
    }
    if (beside?.accepting) return beside.isFull ? current : beside;
    const spare = this.#spares.take(itemHash);
    if (spare) this.#beside.set(itemHash, spare);
    return spare ?? current;
  }

  /** Whether its next request would find no machine, or one that has a lot to do. */
  #wantsSpare(itemHash: ItemHash): boolean {
    const current = this.#current.get(itemHash);
    if (!current?.accepting) return true;
    return isLoaded(current, this.#components.config) && !this.#beside.get(itemHash)?.accepting;
  }
}

/** Waits until a machine that starts is up and those who waited for it have their places, or until it has failed. */
async function settled(execution: Execution, signal: AbortSignal): Promise<void> {
  try {
    using _lease = await execution.acquire(signal);
  } catch {
    // Whoever waits for it is told.
    signal.throwIfAborted();
  }
}

/** Whether half of its places are taken. */
function isLoaded({ inFlight }: Execution, { maxInFlight }: ExecutionsConfig): boolean {
  return inFlight * 2 >= maxInFlight;
}
