import type { ItemHash } from '@vmlet/messages';
import { VmletError } from '../errors.ts';
import type { Backend } from '../machines/index.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import { type Snapshot, type SnapshotInputs, snapshotKey } from '../snapshots/index.ts';
import type { Logger } from '../telemetry/index.ts';
import type { SnapshotState } from '../timelines/index.ts';
import { programInputs, runtimeInputs } from './inputs.ts';
import type { FindHost } from './program-machine.ts';
import { DiskFull, type SaveOptions, saveProgram, saveRuntime } from './save.ts';
import type { Saved } from './starts.ts';

/** Room for one more machine that no request waits for. Its signal aborts when a request wants that room. */
export interface Turn extends Disposable {
  readonly signal: AbortSignal;
}

/** How often a snapshot that is not restored is made again, in the life of a node. */
const MAX_REMAKES = 1;
/** Programs of which it is remembered what came of their snapshots. */
const MAX_TRIED = 1024;

export interface MakerComponents {
  backend: Backend;
  saved: Saved;
  hostOf?: FindHost | undefined;
  bootDeadlineMs: number;
  loadDeadlineMs: number;
  /** Waits until nothing else is to be done. Rejects with the signal's reason, or if there is never room. */
  turn: (program: Pick<Wanted, 'itemHash' | 'memoryMiB'>, signal: AbortSignal) => Promise<Turn>;
  /** Writes a line of the platform's into the log of a program. */
  say: (itemHash: ItemHash, text: string) => void;
  log: Pick<Logger, 'info' | 'warn'>;
}

/** A program whose snapshot is wanted, and how its files are found when its turn comes. */
export interface Wanted {
  itemHash: ItemHash;
  memoryMiB: number;
  prepare: (signal: AbortSignal) => Promise<RunnableProgram>;
}

class NotSaved extends Error {
  override readonly name = 'NotSaved';
  readonly key: string;
  constructor(key: string, cause: unknown) {
    super(`Cannot save "${key}"`, { cause });
    this.key = key;
  }
}

/**
 * Makes snapshots in the background, one at a time, and never while a request waits for a machine. What fails is told
 * in the logs and not tried again before its inputs change or the node starts anew: a program runs without.
 */
export class SnapshotMaker implements AsyncDisposable {
  readonly #components: MakerComponents;
  readonly #wanted = new Map<ItemHash, Wanted>();
  /** Of the programs tried last, what came of it. */
  readonly #tried = new Map<ItemHash, SnapshotState>();
  readonly #given = new Set<string>();
  readonly #remakes = new Map<string, number>();
  readonly #stop = new AbortController();
  /** Why the last one was not made; undefined if it was, or if there was none yet. */
  lastFailure: string | undefined;
  #running: Promise<void> | undefined;

  constructor(components: MakerComponents) {
    this.#components = components;
  }

  /** Makes a program's snapshot, unless it is there, or is being made. */
  want(wanted: Wanted): void {
    if (this.#stop.signal.aborted || this.#wanted.has(wanted.itemHash)) return;
    this.#wanted.set(wanted.itemHash, wanted);
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
  }

  /** What is known of a program's snapshot; undefined where none was wanted since the node has started. */
  stateOf(itemHash: ItemHash): SnapshotState | undefined {
    return this.#wanted.has(itemHash) ? { state: 'making' } : this.#tried.get(itemHash);
  }

  #remember(itemHash: ItemHash, state: SnapshotState): void {
    this.#tried.delete(itemHash);
    this.#tried.set(itemHash, state);
    const [oldest] = this.#tried.keys();
    if (this.#tried.size > MAX_TRIED && oldest !== undefined) this.#tried.delete(oldest);
  }

  /** Notes that a snapshot was not restored, so that it is not made again for ever. */
  refused(key: string): void {
    const remakes = (this.#remakes.get(key) ?? 0) + 1;
    this.#remakes.set(key, remakes);
    if (remakes > MAX_REMAKES) this.#given.add(key);
  }

  /** Whether a snapshot is not made any more, since it was tried and came to nothing. */
  isGivenUp(key: string): boolean {
    return this.#given.has(key);
  }

  /** Resolves when all that was wanted until now is made, or has failed. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new VmletError('NODE_STOPPING'));
    await this.settled();
  }

  async #work(): Promise<void> {
    for (;;) {
      const next = this.#wanted.values().next().value;
      if (!next || this.#stop.signal.aborted) return;
      const again = await this.#try(next);
      this.#wanted.delete(next.itemHash);
      // Behind the others.
      if (again) this.#wanted.set(next.itemHash, next);
    }
  }

  /** @returns whether it is to be tried again */
  async #try(wanted: Wanted): Promise<boolean> {
    const { signal } = this.#stop;
    try {
      using turn = await this.#components.turn(wanted, signal);
      const either = AbortSignal.any([signal, turn.signal]);
      try {
        // Only now: it may have been removed, stopped or changed while it waited.
        if (await this.#make(await wanted.prepare(either), either)) this.#remember(wanted.itemHash, { state: 'ready' });
        return false;
      } catch (error) {
        if (turn.signal.aborted) return !signal.aborted;
        throw error;
      }
    } catch (error) {
      // What is not even prepared says so to whoever asks for it.
      if (error instanceof NotSaved && !signal.aborted) this.#failed(wanted.itemHash, error);
      return false;
    }
  }

  /** @returns whether it is there now */
  async #make(program: RunnableProgram, signal: AbortSignal): Promise<boolean> {
    if (!program.snapshot) return false;
    const { backend, saved } = this.#components;
    const made = { backend, host: saved.host };
    const inputs = programInputs(program, made);
    if (this.isGivenUp(snapshotKey(inputs))) return false;
    if (await saved.snapshots.find(inputs)) return true;
    const base = await this.#baseOf(program, { inputs: runtimeInputs(program, made), signal });
    const begun = performance.now();
    const host = await this.#components.hostOf?.(program);
    await this.#save(inputs, signal, (options) => saveProgram(program, { ...options, base, host }));
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    this.#components.say(program.itemHash, `Saved for quick starts, in ${seconds} s`);
    return true;
  }

  /** The snapshot of a program's runtime, made if there is none; undefined if it cannot be made. */
  async #baseOf(
    program: RunnableProgram,
    { inputs, signal }: { inputs: SnapshotInputs; signal: AbortSignal },
  ): Promise<Snapshot | undefined> {
    const found = await this.#components.saved.snapshots.find(inputs);
    if (found || this.isGivenUp(snapshotKey(inputs))) return found;
    try {
      return await this.#save(inputs, signal, (options) => saveRuntime(program, options));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof NotSaved)) throw error;
      this.#note(error, { runtime: inputs.runtime });
      return undefined;
    }
  }

  async #save(
    inputs: SnapshotInputs,
    signal: AbortSignal,
    how: (options: SaveOptions) => Promise<Snapshot>,
  ): Promise<Snapshot> {
    const { backend, saved, bootDeadlineMs, loadDeadlineMs } = this.#components;
    try {
      const snapshot = await how({
        ...{ backend, snapshots: saved.snapshots, inputs, bootDeadlineMs, loadDeadlineMs, signal },
        // What a program prints as it is loaded is printed by every machine of it, and stands in its log by those.
        onLog: () => {},
      });
      this.lastFailure = undefined;
      return snapshot;
    } catch (cause) {
      throw new NotSaved(snapshotKey(inputs), cause);
    }
  }

  #failed(itemHash: ItemHash, failure: NotSaved): void {
    this.#note(failure, { itemHash });
    const { cause } = failure;
    this.#remember(itemHash, { state: 'failed', cause: cause instanceof Error ? cause.message : String(cause) });
    const words = cause instanceof VmletError && cause.detail ? `${cause.message}\n${cause.detail}` : String(cause);
    this.#components.say(itemHash, `Not saved for quick starts: ${words}`);
  }

  /** A full disk may have room again when it is wanted the next time; all else stays as it is. */
  #note({ key, cause }: NotSaved, of: { itemHash: ItemHash } | { runtime: string }): void {
    if (!(cause instanceof DiskFull)) this.#given.add(key);
    this.lastFailure = cause instanceof Error ? cause.message : String(cause);
    const { log } = this.#components;
    // What does not load is told to whoever asks for it, and to its owner.
    const isOwn = cause instanceof VmletError && cause.entry.fault === 'program';
    if (isOwn) log.info({ found: cause.message, key, ...of }, 'a machine was not saved: its program does not load');
    else log.warn({ err: cause, key, ...of }, 'a machine was not saved: starts take longer');
  }
}
