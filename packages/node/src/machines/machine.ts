import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { type GuestMessage, type HostMessage, PROTOCOL_VERSION } from '@vmlet/guest-protocol';
import { VmletError } from '../errors.ts';
import { wallClock } from './clock.ts';
import { MachineConsole } from './console.ts';
import { ControlChannel, type GuestMisbehaved } from './control/channel.ts';
import { deathOf, exitOf, failureOf, protocolUnsupported, refusalOf } from './failures.ts';
import type { QemuExit, QemuProcess } from './qemu/launch.ts';
import { QmpClient } from './qmp/client.ts';
import { type MachineState, transition } from './state.ts';
import { type CallHandler, Calls } from './wire/calls.ts';
import { StreamBroken } from './wire/stream.ts';
import { type StreamRequest, Wire } from './wire/wire.ts';

/** A clock that the guest has set later than this after it was read is sent again, so often. In milliseconds. */
const CLOCK_LATE_MS = 5;
const CLOCK_TRIES = 3;

export type LogLine = Extract<GuestMessage, { type: 'log' }>;
export type LoadRequest = Omit<Extract<HostMessage, { type: 'load' }>, 'type' | 'prime'>;
export type ThawRequest = Omit<Extract<HostMessage, { type: 'thaw' }>, 'type'>;
export type ConfigureRequest = Omit<Extract<HostMessage, { type: 'configure' }>, 'type'>;

/** What a machine tells its owner while it lives. */
export interface MachineEvents {
  /** A piece of the program's output, as read: lines may be cut anywhere. */
  onLog: (line: LogLine) => void;
}

/** A step that a machine has taken, in milliseconds after its process was started. */
export interface Mark {
  step: MachineState;
  atMs: number;
}

/**
 * One microVM. It ends by `halt()` or `kill()`, by its guest, or by its process; `ended` tells, once the process is
 * gone and nothing of it is left. It owns no file: its sockets are inherited and its images are shared.
 */
export class Machine {
  readonly id: string;
  readonly pid: number;
  /** Resolves, never rejects, with why the machine ended. */
  readonly ended: Promise<VmletError>;
  readonly marks: Mark[] = [];
  /** What the launcher found the program to be, once it is `loaded`. */
  serves: string | undefined;
  #state: MachineState = 'starting';
  #endReason: VmletError | undefined;
  #killed = false;
  /** Who sends it to the launcher's own endpoint is answered there, and is this node: it stands in no other machine. */
  readonly primeToken = randomBytes(16).toString('hex');
  /** Speaks to QEMU itself. */
  readonly qmp: QmpClient;
  /** Its serial console: what its kernel and its init say, and who logs in. */
  readonly console: MachineConsole;
  /** Where its QEMU sends its state to when it is saved. */
  readonly statePath: string | undefined;
  /** How far a save or a restore of its memory has come. */
  onMigration: (status: string) => void = () => {};
  readonly #process: QemuProcess;
  readonly #channel: ControlChannel;
  readonly #wire: Wire;
  #calls: Calls | undefined;
  readonly #events: MachineEvents;
  readonly #startedAt = performance.now();
  readonly #reached = new Map<MachineState, PromiseWithResolvers<void>>();
  /** Until the guest has set the clock that it was sent. */
  #clock: PromiseWithResolvers<void> | undefined;
  /** States it is in or has been in, since it was told to go there: a clone that is saved in its turn is frozen twice. */
  readonly #passed = new Set<MachineState>();
  /** What it was used for, which others must not find in its memory. */
  #used: string | undefined;

  constructor(id: string, process: QemuProcess, events: MachineEvents) {
    this.id = id;
    this.pid = process.pid;
    this.statePath = process.statePath;
    this.#process = process;
    this.#events = events;
    this.qmp = new QmpClient(process.qmp, (name, data) => {
      if (name === 'MIGRATION') this.onMigration(String(data.status));
    });
    this.console = new MachineConsole(process.console);
    this.#channel = new ControlChannel(process.control, {
      onMessage: (message) => this.#receive(message),
      onMisbehaved: (error) => this.#misbehaved(error),
    });
    this.#wire = new Wire(process.wire, {
      onMisbehaved: (found) => this.kill(new VmletError('GUEST_MISBEHAVED', { operands: { machine: id, found } })),
    });
    this.ended = process.exited.then((exit) => this.#finish(exit));
  }

  get state(): MachineState {
    return this.#state;
  }

  /** Whether it is on its way out, or gone: its end is certain, even where its process is still there. */
  get ending(): boolean {
    return this.#killed || this.#endReason !== undefined || this.#process.isOver();
  }

  /**
   * Waits until the machine has reached a state.
   * Rejects with the reason if it ends before; the caller bounds the wait.
   */
  reached(state: 'booted' | 'ready' | 'loaded' | 'prepared' | 'frozen'): Promise<void> {
    if (this.#endReason) return Promise.reject(this.#endReason);
    if (this.#passed.has(state)) return Promise.resolve();
    const waiting = this.#reached.get(state) ?? Promise.withResolvers<void>();
    this.#reached.set(state, waiting);
    return waiting.promise;
  }

  /** Gives the machine its identity, clock, entropy, network and launcher. Allowed when `booted`. */
  configure(request: ConfigureRequest): void {
    this.#channel.send({ type: 'configure', ...request });
  }

  /**
   * Tells the launcher to load a program. Allowed when `ready`; `reached('loaded')` waits for it.
   * @throws VmletError why the machine has ended; ProtocolError if the request does not fit a frame
   */
  load(request: LoadRequest): void {
    if (this.#endReason) throw this.#endReason;
    this.#move('loading', 'load');
    this.#channel.send({ type: 'load', ...request, prime: this.primeToken });
  }

  /**
   * Tells the launcher that it is going to be frozen. Allowed when `ready` or `loaded`, and if nobody has ever had a
   * stream into the machine; `reached('prepared')` waits for it.
   * @throws VmletError `SNAPSHOT_FAILED` for a machine that was used: what is in its memory is somebody's
   */
  prepare(): void {
    if (this.#used !== undefined) throw new VmletError('SNAPSHOT_FAILED', { operands: { found: this.#used } });
    this.#passed.delete('prepared');
    this.#channel.send({ type: 'prepare' });
  }

  /** Stops launcher and program for good: what is saved now runs on in clones. Allowed when `prepared`. */
  freeze(): void {
    this.#passed.delete('frozen');
    this.#channel.send({ type: 'freeze' });
  }

  /** Notes that the memory of a frozen machine has become this one's. Allowed when `starting`. */
  restored(serves: string | null): void {
    this.serves = serves ?? undefined;
    this.#move('frozen', 'restore');
  }

  /** Gives a clone its own identity, and lets it go on. Allowed when `frozen`; it is then as it was when it was saved. */
  thaw(identity: ThawRequest, variables: Record<string, string>): void {
    this.#channel.send({ type: 'thaw', ...identity });
    this.#channel.send({ type: 'resume', variables, prime: this.primeToken });
  }

  /**
   * Stops its processors: it takes no processor time and keeps all that it is, its open streams too. Allowed when
   * `loaded`. What is asked of it next comes after that, in the order asked.
   * @throws QmpError if QEMU refuses it, or is gone
   */
  async pause(): Promise<void> {
    this.#state = transition(this.#state, 'paused', 'pause');
    await this.qmp.execute('stop');
  }

  /**
   * Lets it go on. Allowed when `paused`. Its wall clock stood still: the guest is sent the host's before its processors
   * run, and this returns when it has set it; once more where it came to that late. Its monotonic clock goes on from
   * where it was.
   * @throws QmpError, or why the machine ended; the caller bounds the wait
   */
  async resume(): Promise<void> {
    this.#state = transition(this.#state, 'loaded', 'resume');
    let sent = performance.now();
    await Promise.all([this.#setClock(), this.qmp.execute('cont')]);
    for (let tries = 1; tries < CLOCK_TRIES && performance.now() - sent > CLOCK_LATE_MS; tries++) {
      sent = performance.now();
      await this.#setClock();
    }
  }

  /**
   * Opens a stream to a port of the guest's loopback. Allowed when `loaded`: before, nobody listens.
   * @throws StreamBroken if nothing listens there; why the machine ended; the signal's reason
   */
  connect(port: number, signal?: AbortSignal): Promise<Duplex> {
    this.#used ??= 'its program has been asked for something';
    return this.#wire.connect(port, signal);
  }

  /**
   * Has the guest keep a connection to a port of its loopback, for the first stream to that port of each of its clones.
   * Allowed when `prepared`; no stream can be opened after it.
   * @throws StreamBroken if nothing listens there; why the machine ended; the signal's reason
   */
  park(port: number, signal?: AbortSignal): Promise<void> {
    return this.#wire.park(port, signal);
  }

  /**
   * Lets the program in it call the host. Allowed once, when `ready` or `frozen`: before the program runs.
   * Until then, and where this is never called, nobody in the guest finds anything to call.
   */
  takeCalls(handler: CallHandler): void {
    this.#calls = new Calls(this.#wire, handler);
  }

  /**
   * Ends all calls of the program. Allowed when `prepared`: in the snapshot is nothing of them, and who calls from then
   * on stands in line until a clone's calls are taken.
   * @throws VmletError `SNAPSHOT_FAILED` if the guest does not know how; why the machine ended; the signal's reason
   */
  async endCalls(signal: AbortSignal): Promise<void> {
    if (!this.#calls) return;
    this.#calls[Symbol.dispose]();
    try {
      await this.#wire.beginAnew(signal);
    } catch (error) {
      if (!(error instanceof StreamBroken)) throw error;
      const found = 'the init of its runtime is older than this node, and cannot end calls of the program';
      throw new VmletError('SNAPSHOT_FAILED', { operands: { found }, cause: error });
    }
  }

  /**
   * Starts a session of the owner in the guest. Allowed when `loaded`.
   * @throws VmletError `SESSION_REFUSED`, or why the machine ended; the signal's reason
   */
  async openSession(request: StreamRequest, signal?: AbortSignal): Promise<Duplex> {
    this.#used ??= 'its owner has had a session in it';
    try {
      return await this.#wire.open(request, signal);
    } catch (error) {
      throw error instanceof StreamBroken ? refusalOf(error, request) : error;
    }
  }

  /** Asks the guest to shut down within `graceMs`. Allowed from `booted` on; the caller bounds the wait for `ended`. */
  halt(graceMs: number): void {
    if (this.#state === 'ended' || this.#state === 'halting') return;
    this.#endReason ??= new VmletError('MACHINE_HALTED', { operands: { machine: this.id } });
    if (this.#state === 'starting') {
      this.#process.kill();
      return;
    }
    const isPaused = this.#state === 'paused';
    this.#move('halting', 'halt');
    if (isPaused) {
      void this.#setClock();
      // A QEMU that is gone has ended the machine already.
      this.qmp.execute('cont').catch(() => {});
    }
    this.#channel.send({ type: 'halt', graceMs });
  }

  /**
   * Presses the power button of a machine that runs a distribution: its init shuts it down, if it listens to that. Allowed
   * when `booted`; the caller bounds the wait for `ended`.
   */
  pressPowerButton(): void {
    if (this.#state === 'ended' || this.#state === 'halting') return;
    this.#endReason ??= new VmletError('MACHINE_HALTED', { operands: { machine: this.id } });
    this.#move('halting', 'power button');
    // A QEMU that is gone has ended the machine already.
    this.qmp.execute('system_powerdown').catch(() => {});
  }

  /**
   * Ends the machine's process at once. The first reason given is the one that `ended` tells; without one it tells
   * how the process ended, which is its own exit if that came first.
   */
  kill(reason?: VmletError): void {
    this.#killed = true;
    this.#endReason ??= reason;
    if (this.#endReason) this.#rejectWaiting(this.#endReason);
    this.#process.kill();
  }

  /** The tail of the serial console, for errors and the owner. */
  consoleTail(): string {
    return this.console.tail();
  }

  #receive(message: GuestMessage): void {
    try {
      this.#handle(message);
    } catch (cause) {
      this.kill(new VmletError('GUEST_MISBEHAVED', { operands: { machine: this.id, found: String(cause) }, cause }));
    }
  }

  #handle(message: GuestMessage): void {
    switch (message.type) {
      case 'hello':
        if (message.protocol !== PROTOCOL_VERSION) this.kill(protocolUnsupported(message));
        else this.#move('booted', 'hello');
        break;
      case 'ready':
        this.#move('ready', 'ready');
        break;
      case 'loaded':
        this.serves = message.interface;
        this.#move('loaded', 'loaded');
        break;
      case 'log':
        this.#events.onLog(message);
        break;
      case 'failed':
        this.kill(failureOf(message, this.consoleTail()));
        break;
      case 'exited':
        // A launcher that has been told to halt is expected to exit.
        if (this.#state !== 'halting') this.kill(exitOf(message, { state: this.#state, console: this.consoleTail() }));
        break;
      case 'prepared':
        this.#move('prepared', 'prepared');
        break;
      case 'frozen':
        this.#move('frozen', 'frozen');
        break;
      case 'clocked':
        if (!this.#clock) throw new TypeError('a clock set that was not sent');
        this.#clock.resolve();
        this.#clock = undefined;
        break;
      case 'resumed':
        this.#move(this.serves === undefined ? 'ready' : 'loaded', 'resumed');
        break;
      case 'halted':
      case 'mark':
        break;
    }
  }

  #setClock(): Promise<void> {
    this.#clock = Promise.withResolvers<void>();
    // Who halts a machine does not wait for it.
    this.#clock.promise.catch(() => {});
    this.#channel.send({ type: 'clock', clock: wallClock() });
    return this.#clock.promise;
  }

  #misbehaved(error: GuestMisbehaved): void {
    const found = error.cause instanceof Error ? error.cause.message.slice(0, 500) : String(error.cause);
    this.kill(new VmletError('GUEST_MISBEHAVED', { operands: { machine: this.id, found }, cause: error }));
  }

  #move(to: MachineState, trigger: string): void {
    this.#state = transition(this.#state, to, trigger);
    this.#passed.add(to);
    this.marks.push({ step: to, atMs: performance.now() - this.#startedAt });
    this.#reached.get(to)?.resolve();
    this.#reached.delete(to);
  }

  #finish(exit: QemuExit): VmletError {
    this.#channel.close();
    this.#endReason ??= deathOf(this.id, exit, this.consoleTail());
    this.#wire.close(this.#endReason);
    this.#move('ended', 'process exit');
    this.#rejectWaiting(this.#endReason);
    return this.#endReason;
  }

  #rejectWaiting(reason: VmletError): void {
    for (const waiting of this.#reached.values()) waiting.reject(reason);
    this.#reached.clear();
    this.#clock?.reject(reason);
  }
}
