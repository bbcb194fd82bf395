import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { type Deadline, deadline, type IdleTimer, idleTimer, orAborted } from '../deadline.ts';
import { asVmletError, VmletError } from '../errors.ts';
import { haltMachine, type StreamRequest } from '../machines/index.ts';
import { startText, type WakePhases, withQueue } from '../timelines/index.ts';
import type { CpuMeter } from './cpu.ts';
import { explain } from './explain.ts';
import { GUEST_HTTP_PORT } from './launcher.ts';
import type { ProgramLog } from './logs.ts';
import { type ExecutionState, transition } from './state.ts';
import type { Awake } from './wake.ts';

export interface ExecutionLimits {
  /** Requests that one machine works on at the same time. */
  maxInFlight: number;
  /** Requests that may wait beyond those. */
  maxQueued: number;
  /** A machine that nobody asks for this long is halted. In milliseconds. */
  idleMs: number;
  /** What a program gets to end by itself. In milliseconds. */
  graceMs: number;
}

/** A place at a machine that answers. Whoever has it disposes of it when its request is over. */
export interface Lease extends Disposable {
  readonly client: Dispatcher;
  /** Opens a connection to the program, for what is no HTTP request. @throws why there is none */
  connect(signal: AbortSignal): Promise<Duplex>;
  /** Starts a session of the owner in the machine, which counts as touched from then on. @throws why there is none */
  openSession(request: StreamRequest, signal: AbortSignal): Promise<Duplex>;
  /** The cold start that this request waited for; undefined if the machine was running. */
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

/** Failures that are not for the program's log. */
const UNSAID: ReadonlySet<string> = new Set(['PROGRAM_NOT_FOUND', 'PROGRAM_STOPPED']);

interface Waiting {
  /** Whether it came while the machine was waking. */
  cold: boolean;
  resolve: (lease: Lease) => void;
  reject: (reason: unknown) => void;
}

export interface ExecutionComponents {
  limits: ExecutionLimits;
  log: ProgramLog;
  /** Charges the owner for what the machine uses. */
  cpu: Pick<CpuMeter, 'start' | 'sample' | 'finish' | 'lost'>;
  /** @throws VmletError why its owner may use the processors no more; the machine is stopped for it */
  mayGoOn: () => void;
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
  readonly startedMs = Date.now();
  inFlight = 0;
  served = 0;
  /** Whether its owner has run or written something in the machine: it is not what its message says any more. */
  touched = false;
  #state: ExecutionState = 'waking';
  #awake: Awake | undefined;
  #failure: unknown = new ExecutionOver();
  #retired = { reason: '' };
  #drain: Deadline | undefined;
  readonly #waiting = new Set<Waiting>();
  readonly #components: ExecutionComponents;
  readonly #idle: IdleTimer;
  readonly #stop = new AbortController();

  constructor(components: ExecutionComponents) {
    this.#components = components;
    this.#idle = idleTimer(components.limits.idleMs, () => void this.stop('nobody asked for it'));
    this.ended = this.#live();
  }

  get state(): ExecutionState {
    return this.#state;
  }

  /** Whether a request may be given to it: to a machine that is just ending it would only be lost. */
  get accepting(): boolean {
    if (this.#state === 'waking') return !this.#stop.signal.aborted;
    return this.#state === 'running' && this.#awake?.machine.ending === false;
  }

  /** Whether its memory will be free before long, whatever its program does. */
  get leaving(): boolean {
    return this.#state !== 'waking' ? !this.accepting && this.#state !== 'ended' : this.#stop.signal.aborted;
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
    if (this.#awake && this.inFlight < maxInFlight && this.#waiting.size === 0) return this.#lease(this.#awake, false);
    if (this.#waiting.size >= maxQueued + (this.#awake ? 0 : maxInFlight)) {
      throw new VmletError('QUEUE_FULL', { operands: { waiting: this.#waiting.size } });
    }
    const { promise, resolve, reject } = Promise.withResolvers<Lease>();
    const waiting = { resolve, reject, cold: this.#awake === undefined };
    this.#waiting.add(waiting);
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
    if (this.#state === 'waking') this.#stop.abort(new ExecutionOver(reason));
    else if (this.#awake && (this.#state === 'running' || this.#state === 'retiring')) {
      this.#move('halting', reason);
      this.#components.cpu.finish();
      this.#components.log.platform(`Stopping: ${reason}`);
      await haltMachine(this.#awake.machine, this.#components.limits.graceMs);
    }
    await this.ended;
  }

  /**
   * Takes no request any more, finishes those it has, and is halted then; when `withinMs` is over whatever they do.
   * Nothing happens to one that is not running.
   */
  retire(reason: string, { withinMs }: { withinMs?: number } = {}): void {
    if (this.#state !== 'running') return;
    this.#move('retiring', reason);
    this.#retired = { reason };
    for (const waiting of this.#waiting) waiting.reject(new ExecutionOver());
    this.#waiting.clear();
    if (this.inFlight === 0) void this.stop(reason);
    else if (withinMs !== undefined) {
      this.#drain = deadline(withinMs);
      this.#drain.signal.addEventListener('abort', () => void this.stop(reason), { once: true });
    }
  }

  async #live(): Promise<void> {
    try {
      const asked = performance.now();
      const awake = await this.#components.wake(this.#stop.signal);
      this.#awake = { ...awake, phases: withQueue(awake.phases, performance.now() - asked) };
      if (this.#stop.signal.aborted) {
        // Stopped in the moment it came up: nobody else will end this machine, and nobody may be sent to it.
        this.#awake.machine.kill();
        await this.#awake.machine.ended;
        this.#stop.signal.throwIfAborted();
      }
      // Who waits is told why: started again at once, it might end like that for ever.
      if (this.#awake.machine.ending) throw await this.#awake.machine.ended;
      this.#move('running', 'wake');
      this.#components.cpu.start(this.#awake.machine.pid);
      this.#components.log.platform(startText(this.#awake.phases));
      this.#settle();
      const reason = await this.#awake.machine.ended;
      if (reason.code !== 'MACHINE_HALTED') this.#components.log.platform(ending(reason));
    } catch (error) {
      this.#failure = this.#stop.signal.aborted ? new ExecutionOver() : asVmletError(error);
      // One that was removed while it was being prepared has no log any more, and who stopped it knows.
      if (this.#failure instanceof VmletError && !UNSAID.has(this.#failure.code)) {
        this.#components.log.platform(ending(this.#failure));
      }
    } finally {
      this.#idle[Symbol.dispose]();
      this.#components.cpu.lost();
      this.#drain?.[Symbol.dispose]();
      this.#components.log.endLines();
      this.#move('ended', 'end of the machine');
      for (const waiting of this.#waiting) waiting.reject(this.#failure);
      this.#waiting.clear();
      await this.#awake?.pool.destroy();
    }
  }

  /** Gives places to those in line, and starts the idle clock when there are none. */
  #settle(): void {
    if (this.#state === 'retiring' && this.inFlight === 0) void this.stop(this.#retired.reason);
    if (!this.#awake || this.#state !== 'running' || !this.accepting) return;
    for (const waiting of this.#waiting) {
      if (this.inFlight >= this.#components.limits.maxInFlight) break;
      this.#waiting.delete(waiting);
      waiting.resolve(this.#lease(this.#awake, waiting.cold));
    }
    if (this.inFlight === 0) this.#idle.arm();
  }

  #lease(awake: Awake, waited: boolean): Lease {
    this.inFlight++;
    this.#idle.disarm();
    let open = true;
    return {
      client: awake.pool,
      connect: (signal) => awake.machine.connect(GUEST_HTTP_PORT, signal),
      openSession: (request, signal) => this.#openSession(awake, { request, signal }),
      phases: waited ? awake.phases : undefined,
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

function ending(error: VmletError): string {
  return error.detail ? `${error.message}\n${error.detail}` : error.message;
}
