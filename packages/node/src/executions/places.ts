import type { ItemHash } from '@vmlet/messages';
import { orAborted } from '../deadline.ts';
import { failpoint } from '../failpoint.ts';
import type { Starts, Turn } from '../starts/index.ts';
import { CpuMeter, type OwnerMeter } from './cpu.ts';
import type { Demand } from './demand.ts';
import { Execution, ExecutionOver } from './execution.ts';
import type { ProgramLog, ProgramLogs } from './logs.ts';
import { MemoryBudget, type Reservation } from './memory-budget.ts';
import type { ExecutionsConfig, Runnable } from './runnable.ts';
import { Semaphore } from './semaphore.ts';
import { SPARE_MIB } from './spares.ts';
import { type Awake, wake } from './wake.ts';
import { warmUp } from './warm-up.ts';

export interface PlacesComponents {
  starts: Pick<Starts, 'start'>;
  logs: ProgramLogs;
  config: ExecutionsConfig;
  owners: OwnerMeter;
  demand: Demand;
  /** Somebody is about to wait for a processor. */
  onCrowded: () => void;
  /** A start has ended, however. */
  onStarted: () => void;
}

interface Holding extends Pick<Runnable, 'itemHash'> {
  memoryMiB: number;
}

interface Background extends Holding {
  back: AbortController;
  over: PromiseWithResolvers<void>;
}

/** What one execution has of the node while it is there. */
interface Held {
  program: Runnable;
  log: ProgramLog;
  stack: DisposableStack;
}

/**
 * Begins executions and admits them: each waits in line for a place among its owner's, for memory, and for a processor.
 * Where memory is short, machines that nobody is asking end for it: spares first, then paused ones, then those that run,
 * and of each kind the one that was asked least recently.
 */
export class Places {
  /** All executions, those on their way out too. */
  readonly all = new Map<Execution, Pick<Runnable, 'itemHash' | 'owner'>>();
  readonly #components: PlacesComponents;
  readonly #boots: Semaphore;
  readonly #memory: MemoryBudget;
  /** Those that have their memory: from the moment it is set aside until nothing of them is left. */
  readonly #holding = new Map<Execution, Holding>();
  /** Machines in the background, whose memory any request may have. */
  readonly #turns = new Set<Background>();

  constructor(components: PlacesComponents) {
    const { maxBoots, memoryBudgetMiB: budgetMiB, maxWaiting, memoryWaitMs: waitMs } = components.config;
    this.#components = components;
    this.#boots = new Semaphore(maxBoots);
    this.#memory = new MemoryBudget({ budgetMiB, maxWaiting, waitMs }, (shortMiB) => this.#makeRoom(shortMiB));
  }

  /** Whether no machine is being started, nor one made to be saved. */
  get isQuiet(): boolean {
    return this.#boots.free === this.#components.config.maxBoots && this.#turns.size === 0;
  }

  /** Begins an execution; with `ahead` one that becomes a spare, as nobody asks for it yet. */
  begin(program: Runnable, { ahead = false } = {}): Execution {
    const { logs, config, owners } = this.#components;
    const held: Held = { program, log: logs.of(program.itemHash), stack: new DisposableStack() };
    const cpu = new CpuMeter((seconds) => owners.charge(program.owner, seconds), program.vcpus);
    const execution: Execution = new Execution({
      limits: config,
      log: held.log,
      cpu,
      mayPause: program.neverPaused !== true,
      mayGoOn: () => owners.mayUseCpu(program.owner),
      onIdle: () => this.#memory.changed(),
      ...(ahead ? { claim: (signal) => this.#claim(execution, { held, signal }) } : {}),
      wake: async (signal) => {
        if (ahead) return await this.#makeSpare(execution, { held, signal });
        await this.#admit(execution, { held, signal });
        await failpoint('memory.reserved');
        return await this.#wake(held, { signal, onPlace: () => cpu.begin() });
      },
    });
    this.all.set(execution, program);
    void execution.ended.then(() => {
      this.#holding.delete(execution);
      this.all.delete(execution);
      held.stack.dispose();
    });
    return execution;
  }

  /**
   * Room for a machine of a program that no request waits for, when there is nothing else to do. It is taken back, by
   * the turn's signal, as soon as its memory is wanted for a request, or by `endTurns`.
   * @throws VmletError `NODE_FULL` if there is never room; the signal's reason
   */
  async turn({ itemHash, memoryMiB }: Pick<Runnable, 'itemHash' | 'memoryMiB'>, signal: AbortSignal): Promise<Turn> {
    await this.#boots.idle(signal);
    const memory = await this.#memory.reserveIdle(memoryMiB, signal);
    const turn = { itemHash, memoryMiB, back: new AbortController(), over: Promise.withResolvers<void>() };
    this.#turns.add(turn);
    return {
      signal: turn.back.signal,
      [Symbol.dispose]: () => {
        this.#turns.delete(turn);
        memory[Symbol.dispose]();
        turn.over.resolve();
        this.#components.onStarted();
      },
    };
  }

  /** Takes a program's turns back. Returns when they are over. */
  async endTurns(itemHash: ItemHash, reason: string): Promise<void> {
    const turns = [...this.#turns].filter((turn) => turn.itemHash === itemHash);
    for (const { back } of turns) back.abort(new Error(reason));
    await Promise.all(turns.map(({ over }) => over.promise));
  }

  /** A place among its owner's machines, and memory. */
  async #admit(execution: Execution, { held, signal }: { held: Held; signal: AbortSignal }): Promise<void> {
    const { itemHash, owner, memoryMiB } = held.program;
    held.stack.use(await this.#ownerPlace(held.program, signal));
    held.stack.use(await this.#memory.reserve(memoryMiB, { owner, signal }));
    this.#holding.set(execution, { itemHash, memoryMiB });
  }

  /** Admits a spare that somebody asks for: it has some of its memory already. */
  async #claim(execution: Execution, { held, signal }: { held: Held; signal: AbortSignal }): Promise<void> {
    const { itemHash, owner, memoryMiB } = held.program;
    held.stack.use(await this.#ownerPlace(held.program, signal));
    held.stack.use(await this.#memory.reserve(Math.max(0, memoryMiB - SPARE_MIB), { owner, signal }));
    this.#holding.set(execution, { itemHash, memoryMiB });
  }

  async #wake(held: Held, { signal, onPlace }: { signal: AbortSignal; onPlace: () => void }): Promise<Awake> {
    const { starts, config, onCrowded, onStarted } = this.#components;
    const { program, log } = held;
    if (this.#boots.free === 0) onCrowded();
    using stack = new DisposableStack();
    stack.use(await this.#boots.acquire(signal, program.owner));
    stack.defer(onStarted);
    onPlace();
    // Awaited here: the place is given back on return.
    return await wake(() => program.prepare(signal), {
      starts,
      bootDeadlineMs: config.bootDeadlineMs,
      loadDeadlineMs: config.loadDeadlineMs,
      onLog: (line) => log.output(line.stream, line.text, line.timeUs / 1000),
      signal,
    });
  }

  /** It may grow to its whole memory while it runs; what it has then is counted when it stands still. */
  async #makeSpare(execution: Execution, { held, signal }: { held: Held; signal: AbortSignal }): Promise<Awake> {
    const { itemHash, owner, memoryMiB, primePath } = held.program;
    this.#components.owners.mayUseCpu(owner);
    const reservation = this.#memory.tryReserve(memoryMiB, owner);
    if (!reservation) throw new ExecutionOver('no memory is free');
    held.stack.use(reservation);
    this.#holding.set(execution, { itemHash, memoryMiB });
    const awake = await this.#wake(held, { signal, onPlace: () => {} });
    try {
      await warmUp(awake, { path: primePath, signal });
      await awake.machine.pause();
    } catch (error) {
      awake.machine.kill();
      await Promise.all([awake.machine.ended, awake.pool.destroy()]);
      throw error;
    }
    this.#shrink(execution, { itemHash, reservation });
    return awake;
  }

  #shrink(execution: Execution, { itemHash, reservation }: { itemHash: ItemHash; reservation: Reservation }): void {
    reservation.shrink(SPARE_MIB);
    this.#holding.set(execution, { itemHash, memoryMiB: SPARE_MIB });
  }

  /** A machine within the owner's own bounds; an idle one of theirs goes for it. */
  async #ownerPlace({ owner, memoryMiB }: Runnable, signal: AbortSignal): Promise<Disposable> {
    for (;;) {
      try {
        return this.#components.owners.reserve(owner, memoryMiB);
      } catch (error) {
        const theirs = [...this.all].filter(([, program]) => program.owner === owner).map(([execution]) => execution);
        const leaving = theirs.find((one) => one.leaving && !one.isAhead) ?? leastRecent(theirs.filter(isIdle));
        if (leaving === undefined) throw error;
        void leaving.stop('its owner has another program that needs its place');
        await orAborted(leaving.ended, signal);
      }
    }
  }

  /** Stops machines that nobody is asking until so much is free or about to be. */
  #makeRoom(shortMiB: number): void {
    let missingMiB = shortMiB;
    for (const [execution, { memoryMiB }] of this.#holding) if (isOver(execution)) missingMiB -= memoryMiB;
    for (const { back, memoryMiB } of this.#turns) {
      if (missingMiB <= 0) return;
      missingMiB -= memoryMiB;
      back.abort(new Error('its memory is needed for a request'));
    }
    for (const execution of this.#expendable()) {
      if (missingMiB <= 0) return;
      missingMiB -= this.#holding.get(execution)?.memoryMiB ?? 0;
      void execution.stop('its memory is needed for another program');
    }
  }

  /** Machines that nobody is asking; the first of them is missed the least. */
  #expendable(): Execution[] {
    const nowMs = performance.now();
    const holding = [...this.#holding].map(([execution, { itemHash }]) => ({ execution, itemHash }));
    const score = (one: { itemHash: ItemHash }) => this.#components.demand.score(one.itemHash, nowMs);
    const spares = holding.filter(({ execution }) => execution.state === 'spare').sort((a, b) => score(a) - score(b));
    const idle = holding
      .map(({ execution }) => execution)
      .filter(isIdle)
      .sort(byRecency);
    const paused = idle.filter(({ state }) => state === 'paused');
    const running = idle.filter(({ state }) => state === 'running');
    return [...spares.map(({ execution }) => execution), ...paused, ...running];
  }
}

function isIdle(execution: Execution): boolean {
  const { state, inFlight, accepting } = execution;
  return (state === 'running' || state === 'paused') && inFlight === 0 && accepting;
}

function isOver(execution: Execution): boolean {
  return execution.leaving || execution.state === 'ended';
}

function byRecency(a: Execution, b: Execution): number {
  return a.lastAskedMs - b.lastAskedMs;
}

function leastRecent(executions: Execution[]): Execution | undefined {
  return executions.sort(byRecency)[0];
}
