import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { type Deadline, deadline, type IdleTimer, idleTimer, orAborted } from '../deadline.ts';
import { asVmletError, VmletError } from '../errors.ts';
import { haltMachine, type Machine, type StreamRequest } from '../machines/index.ts';
import { startText, type WakePhases, withQueue } from '../timelines/index.ts';
import type { CpuMeter } from './cpu.ts';
import { explain } from './explain.ts';
import type { ProgramLog } from './logs.ts';
import { type ExecutionState, transition } from './state.ts';
import type { Awake } from './wake.ts';

export interface ExecutionLimits {
  /** Requests that one machine works on at the same time. */
  maxInFlight: number;
  /** Requests that may wait beyond those. */
  maxQueued: number;
  /** A machine that nobody asks for this long has its processors stopped, until it is asked. In milliseconds. */
  pauseAfterMs: number;
  /** A machine that nobody asks for this long is halted. In milliseconds. */
  idleMs: number;
  /** What a program gets to end by itself. In milliseconds. */
  graceMs: number;
}

/** What a paused machine gets to go on, before another one is started in its place. In milliseconds. */
const RESUME_MS = 10_000;

/** A place at a machine that answers. Whoever has it disposes of it when its request is over. */
export interface Lease extends Disposable {
  readonly client: Dispatcher;
  /** Opens a connection to the program, for what is no HTTP request. @throws why there is none */
  connect(signal: AbortSignal): Promise<Duplex>;
  /** Starts a session of the owner in the machine, which counts as touched from then on. @throws why there is none */
  openSession(request: StreamRequest, signal: AbortSignal): Promise<Duplex>;
  /** The start that this request waited for, which may be no more than a resumption; undefined if the machine was running. */
  readonly phases: WakePhases | undefined;
  /** No request is sent to this machine after those it has: it did not answer in time. */
  retire(): void;
  /** Why a connection to the machine broke. */
  explain(error: unknown): Promise<VmletError>;
}

/** The execution takes no requests any more; another one must be asked. */
export class ExecutionOver extends Error {
  override readonly name = 'ExecutionOver';
}

/** States in which requests may come. */
const TAKING: ReadonlySet<ExecutionState> = new Set(['spare', 'running', 'paused', 'resuming']);
/** States in which there is a program to be told that it ends. */
const STOPPABLE: ReadonlySet<ExecutionState> = new Set(['running', 'paused', 'resuming', 'retiring']);
/** Failures that are not for the program's log. */
const UNSAID: ReadonlySet<string> = new Set(['PROGRAM_NOT_FOUND', 'PROGRAM_STOPPED']);

interface Waiting {
  /** Whether it came while the machine was no running one. */
  cold: boolean;
  resolve: (lease: Lease) => void;
  reject: (reason: unknown) => void;
}

export interface ExecutionComponents {
  limits: ExecutionLimits;
  log: ProgramLog;
  /** Charges the owner for what the machine uses. */
  cpu: Pick<CpuMeter, 'start' | 'adopt' | 'sample' | 'pause' | 'resume' | 'finish' | 'lost'>;
  /** @throws VmletError why its owner may use the processors no more; the machine is stopped for it */
  mayGoOn: () => void;
  /** Whether its processors may be stopped while nobody asks. */
  mayPause: boolean;
  /** Nobody asks for the machine any more: it could end for another. */
  onIdle: () => void;
  /**
   * For a spare, which `wake` gives warm and paused: sets aside what it needs to run. Called once, when it is asked for.
   * @throws VmletError why it may not run
   */
  claim?: (signal: AbortSignal) => Promise<void>;
  /** Starts the machine; aborted when the execution is stopped before it is up. */
  wake: (signal: AbortSignal) => Promise<Awake>;
}

/**
 * One machine running one program, from the first request that wakes it until nothing of it is left. Requests that
 * come while it wakes are held in order, up to a bound, and all are served.
 */
export class Execution {
  /** Resolves, never rejects, when nothing of the execution is left. */
  readonly ended: Promise<void>;
  /** Resolves, never rejects, with whether it has become a spare. */
  readonly readyAhead: Promise<boolean>;
  readonly startedMs = Date.now();
  /** When it was asked the last time, by a clock that never goes back. */
  lastAskedMs = performance.now();
  inFlight = 0;
  served = 0;
  /** Whether its owner has run or written something in the machine: it is not what its message says any more. */
  touched = false;
  #state: ExecutionState = 'waking';
  #awake: Awake | undefined;
  /** How the machine came to answer the last time. */
  #phases: WakePhases | undefined;
  #failure: unknown = new ExecutionOver();
  readonly #spared = Promise.withResolvers<boolean>();
  #retired = { reason: '' };
  #drain: Deadline | undefined;
  readonly #waiting = new Set<Waiting>();
  readonly #components: ExecutionComponents;
  readonly #idle: IdleTimer;
  readonly #quiet: IdleTimer;
  readonly #stop = new AbortController();

  constructor(components: ExecutionComponents) {
    this.#components = components;
    this.#idle = idleTimer(components.limits.idleMs, () => void this.stop('nobody asked for it'));
    this.#quiet = idleTimer(components.limits.pauseAfterMs, () => void this.pause());
    this.readyAhead = this.#spared.promise;
    this.ended = this.#live();
  }

  get state(): ExecutionState {
    return this.#state;
  }

  /** Whether a request may be given to it: to a machine that is just ending it would only be lost. */
  get accepting(): boolean {
    if (this.#state === 'waking') return !this.#stop.signal.aborted;
    return TAKING.has(this.#state) && this.#awake?.machine.ending === false;
  }

  /** Whether its memory will be free before long, whatever its program does. */
  get leaving(): boolean {
    return this.#state !== 'waking' ? !this.accepting && this.#state !== 'ended' : this.#stop.signal.aborted;
  }

  /** Whether all places at its machine are taken. */
  get isFull(): boolean {
    return this.inFlight >= this.#components.limits.maxInFlight;
  }

  /** Whether it is a spare that nobody has asked for. */
  get isAhead(): boolean {
    return this.#components.claim !== undefined && this.#phases === undefined;
  }

  /** Whether it was told to stop. */
  get wasStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** The machine's process, while there is one. */
  get pid(): number | undefined {
    return this.#awake?.machine.pid;
  }

  /**
   * Waits for a place at the machine.
   * @throws VmletError `QUEUE_FULL`, or why the machine did not start; ExecutionOver; the signal's reason
   */
  async acquire(signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted();
    if (!this.accepting) throw new ExecutionOver();
    const { maxInFlight, maxQueued } = this.#components.limits;
    const awake = this.#state === 'running' ? this.#awake : undefined;
    if (awake && this.inFlight < maxInFlight && this.#waiting.size === 0) return this.#lease(awake, false);
    if (this.#waiting.size >= maxQueued + (awake ? 0 : maxInFlight)) {
      throw new VmletError('QUEUE_FULL', { operands: { waiting: this.#waiting.size } });
    }
    const { promise, resolve, reject } = Promise.withResolvers<Lease>();
    const waiting = { resolve, reject, cold: awake === undefined };
    this.#waiting.add(waiting);
    if (this.#state === 'paused' || this.#state === 'spare') void this.#resume();
    try {
      return await orAborted(promise, signal);
    } catch (error) {
      // A place that was given in the moment of giving up goes to the next in line.
      if (!this.#waiting.delete(waiting)) promise.then((lease) => lease[Symbol.dispose]()).catch(() => {});
      throw error;
    }
  }

  /** Halts the machine, with the program's grace; requests on it are cut. Returns when nothing of it is left. */
  async stop(reason: string): Promise<void> {
    const { state } = this;
    this.#stop.abort(new ExecutionOver(reason));
    // Nobody has ever seen a spare: there is nothing to end in order.
    if (state === 'spare') this.#awake?.machine.kill(halted(this.#awake.machine.id));
    else if (this.#awake && STOPPABLE.has(this.#state)) {
      this.#move('halting', reason);
      this.#components.cpu.finish();
      this.#components.log.platform(`Stopping: ${reason}`);
      await haltMachine(this.#awake.machine, this.#components.limits.graceMs);
    }
    await this.ended;
  }

  /**
   * Takes no request any more, finishes those it has, and is halted then; when `withinMs` is over whatever they do. Those
   * that wait for a place get one if it `isDrained`, and are sent elsewhere if not. Nothing happens to one that is not running.
   */
  retire(reason: string, { withinMs, isDrained = false }: { withinMs?: number; isDrained?: boolean } = {}): void {
    if (this.#state === 'paused') void this.stop(reason);
    if (this.#state !== 'running' && this.#state !== 'resuming') return;
    // One that is just resumed gives no place before it runs, and will not run any more.
    const sendsAway = !isDrained || this.#state === 'resuming';
    this.#move('retiring', reason);
    this.#retired = { reason };
    if (sendsAway) {
      for (const waiting of this.#waiting) waiting.reject(new ExecutionOver());
      this.#waiting.clear();
    }
    if (this.inFlight === 0 && this.#waiting.size === 0) void this.stop(reason);
    else if (withinMs !== undefined) {
      this.#drain = deadline(withinMs);
      this.#drain.signal.addEventListener('abort', () => void this.stop(reason), { once: true });
    }
  }

  /** Stops its machine's processors until somebody asks. False where requests are under way, or it does not run. */
  async pause(): Promise<boolean> {
    if (this.#state !== 'running' || !this.#awake || !this.accepting || this.inFlight > 0) {
      return this.#state === 'paused';
    }
    if (!this.#components.mayPause) return false;
    this.#move('paused', 'pause');
    this.#components.cpu.pause();
    // Who asks meanwhile is asked for after it: QEMU does one thing after the other.
    await this.#awake.machine.pause().catch((error: unknown) => this.#awake?.machine.kill(asVmletError(error)));
    return true;
  }

  /** Lets a paused machine or a spare go on. */
  async #resume(): Promise<void> {
    const machine = this.#awake?.machine;
    if (!machine) return;
    const asked = performance.now();
    const from = this.#state === 'spare' ? 'spare' : 'paused';
    this.#move('resuming', 'request');
    if (from === 'spare' && !(await this.#claim(machine))) return;
    const claimed = performance.now();
    this.#components.cpu.resume();
    if (!(await this.#goOn(machine)) || this.#state !== 'resuming') return;
    const steps = [{ name: 'resume', ms: performance.now() - claimed }];
    if (from === 'spare') steps.unshift({ name: 'claim', ms: claimed - asked });
    this.#phases = { from, steps };
    this.#move('running', 'resumption');
    if (from === 'spare') this.#components.log.platform(startText(this.#phases));
    this.#settle();
  }

  /** False if the spare may not run: who waits for it is told why. */
  async #claim(machine: Machine): Promise<boolean> {
    try {
      await this.#components.claim?.(this.#stop.signal);
      this.#components.cpu.adopt(machine.pid);
      return this.#state === 'resuming';
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure = asVmletError(error);
      machine.kill(halted(machine.id));
      return false;
    }
  }

  /** False if the machine does not go on; it is ended then, and who waits for it gets another. */
  async #goOn(machine: Machine): Promise<boolean> {
    using limit = deadline(RESUME_MS);
    try {
      await orAborted(machine.resume(), limit.signal);
      return true;
    } catch {
      // If it was its end, that has its reason already.
      machine.kill(limit.expired ? notResumed(machine.id) : undefined);
      return false;
    }
  }

  async #live(): Promise<void> {
    try {
      const asked = performance.now();
      // Who makes it knows it by the time it starts.
      await undefined;
      const awake = await this.#components.wake(this.#stop.signal);
      this.#awake = { ...awake, phases: withQueue(awake.phases, performance.now() - asked) };
      if (this.#stop.signal.aborted) {
        // Stopped in the moment it came up: nobody else will end this machine, and nobody may be sent to it.
        this.#awake.machine.kill();
        await this.#awake.machine.ended;
        this.#stop.signal.throwIfAborted();
      }
      // Who waits is told why: started again at once, it might end like that for ever.
      if (this.#awake.machine.ending && !this.#components.claim) throw await this.#awake.machine.ended;
      if (this.#components.claim) this.#move('spare', 'wake');
      else this.#run(this.#awake);
      this.#spared.resolve(this.#state === 'spare');
      const reason = await this.#awake.machine.ended;
      if (reason.code !== 'MACHINE_HALTED') this.#components.log.platform(ending(reason));
    } catch (error) {
      const isOver = this.#stop.signal.aborted || error instanceof ExecutionOver;
      this.#failure = isOver ? new ExecutionOver() : asVmletError(error);
      // One that was removed while it was being prepared has no log any more, and who stopped it knows.
      if (this.#failure instanceof VmletError && !UNSAID.has(this.#failure.code)) {
        this.#components.log.platform(ending(this.#failure));
      }
    } finally {
      this.#idle[Symbol.dispose]();
      this.#quiet[Symbol.dispose]();
      this.#components.cpu.lost();
      this.#drain?.[Symbol.dispose]();
      this.#components.log.endLines();
      this.#spared.resolve(false);
      this.#move('ended', 'end of the machine');
      for (const waiting of this.#waiting) waiting.reject(this.#failure);
      this.#waiting.clear();
      await this.#awake?.pool.destroy();
    }
  }

  #run(awake: Awake): void {
    this.#move('running', 'wake');
    this.#phases = awake.phases;
    this.#components.cpu.start(awake.machine.pid);
    this.#components.log.platform(startText(awake.phases));
    this.#settle();
  }

  /** Gives places to those in line, and starts the idle clock when there are none. */
  #settle(): void {
    const isRetiring = this.#state === 'retiring';
    if (!this.#awake || this.#awake.machine.ending || (this.#state !== 'running' && !isRetiring)) return;
    for (const waiting of this.#waiting) {
      if (this.inFlight >= this.#components.limits.maxInFlight) break;
      this.#waiting.delete(waiting);
      waiting.resolve(this.#lease(this.#awake, waiting.cold));
    }
    if (this.inFlight > 0) return;
    if (isRetiring) {
      void this.stop(this.#retired.reason);
      return;
    }
    this.#idle.arm();
    this.#quiet.arm();
    this.#components.onIdle();
  }

  #lease(awake: Awake, waited: boolean): Lease {
    this.inFlight++;
    this.lastAskedMs = performance.now();
    this.#idle.disarm();
    this.#quiet.disarm();
    let open = true;
    return {
      client: awake.pool,
      connect: awake.connect,
      openSession: (request, signal) => this.#openSession(awake, { request, signal }),
      phases: waited ? this.#phases : undefined,
      retire: () => this.retire('it did not answer in time'),
      explain: (error) => explain(awake.machine, error),
      [Symbol.dispose]: () => {
        if (!open) return;
        open = false;
        this.inFlight--;
        this.served++;
        this.#components.cpu.sample();
        this.#settle();
        this.#stopIfUsedUp();
      },
    };
  }

  #openSession(awake: Awake, { request, signal }: { request: StreamRequest; signal: AbortSignal }): Promise<Duplex> {
    if (!this.touched) this.#components.log.platform('Its owner has opened a session in the machine');
    this.touched = true;
    return awake.machine.openSession(request, signal);
  }

  #stopIfUsedUp(): void {
    try {
      this.#components.mayGoOn();
    } catch (error) {
      void this.stop(asVmletError(error).message);
    }
  }

  #move(to: ExecutionState, trigger: string): void {
    this.#state = transition(this.#state, to, trigger);
  }
}

function notResumed(machine: string): VmletError {
  return new VmletError('MACHINE_NOT_RESUMED', { operands: { machine, ms: RESUME_MS } });
}

function halted(machine: string): VmletError {
  return new VmletError('MACHINE_HALTED', { operands: { machine } });
}

function ending(error: VmletError): string {
  return error.detail ? `${error.message}\n${error.detail}` : error.message;
}
