import type { ItemHash } from '@vmlet/messages';
import { VmletError } from '../errors.ts';
import type { Backend } from '../machines/index.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import { snapshotKey } from '../snapshots/index.ts';
import type { Logger } from '../telemetry/index.ts';
import { programInputs } from './inputs.ts';
import { saveProgram } from './save.ts';
import type { Saved } from './starts.ts';

/** Room for one more machine that no request waits for. Its signal aborts when a request wants that room. */
export interface Turn extends Disposable {
  readonly signal: AbortSignal;
}

/** How often a snapshot that is not restored is made again, in the life of a node. */
const MAX_REMAKES = 1;

export interface MakerComponents {
  backend: Backend;
  saved: Saved;
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
  readonly #given = new Set<string>();
  readonly #remakes = new Map<string, number>();
  readonly #stop = new AbortController();
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

  /** Notes that a snapshot was not restored, so that it is not made again for ever. */
  refused(key: string): void {
    const remakes = (this.#remakes.get(key) ?? 0) + 1;
    this.#remakes.set(key, remakes);
    if (remakes > MAX_REMAKES) this.#given.add(key);
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
        await this.#make(await wanted.prepare(either), either);
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

  async #make(program: RunnableProgram, signal: AbortSignal): Promise<void> {
    const { backend, saved, bootDeadlineMs, loadDeadlineMs, say } = this.#components;
    const { snapshots, host } = saved;
    const inputs = programInputs(program, { backend, host });
    const key = snapshotKey(inputs);
    if (!program.snapshot || this.#given.has(key) || (await snapshots.find(inputs))) return;
    const begun = performance.now();
    try {
      await saveProgram(program, {
        ...{ backend, snapshots, inputs, bootDeadlineMs, loadDeadlineMs, signal },
        // What a program prints as it is loaded is printed by every machine of it, and stands in its log by those.
        onLog: () => {},
      });
    } catch (cause) {
      throw new NotSaved(key, cause);
    }
    say(program.itemHash, `Saved for quick starts, in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  }

  #failed(itemHash: ItemHash, { key, cause }: NotSaved): void {
    const { say, log } = this.#components;
    this.#given.add(key);
    log.warn({ err: cause, itemHash, key }, 'a program was not saved: each of its starts boots');
    const words = cause instanceof VmletError && cause.detail ? `${cause.message}\n${cause.detail}` : String(cause);
    say(itemHash, `Not saved for quick starts: ${words}`);
  }
}
