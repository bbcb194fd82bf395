import type { ItemHash } from '@vmlet/messages';
import { type IdleTimer, idleTimer } from '../deadline.ts';
import type { StartedFrom } from '../timelines/index.ts';
import type { Demand } from './demand.ts';
import type { Execution } from './execution.ts';
import type { Runnable } from './runnable.ts';

/**
 * What a spare counts for in the node's memory, in MiB. It is a clone whose processors are stopped: most of its memory is
 * its snapshot's, which all clones share, and what it has of its own cannot grow.
 */
export const SPARE_MIB = 48;
/** Who was asked less than this has no spare: one request is not worth one any more after two half-lives. */
const LEAST_SCORE = 0.25;
/** A spare is made anew after this long: what its program is made of may have changed. In milliseconds. */
const SPARE_LIFE_MS = 30 * 60_000;
/** Spares are made when this long nothing has happened that asks for one: a start is seldom alone. In milliseconds. */
const REFILL_AFTER_MS = 200;

export interface SparesComponents {
  /** What all spares together may have, in MiB. */
  budgetMiB: number;
  demand: Demand;
  /** Begins an execution that nobody asks for. */
  begin: (program: Runnable) => Execution;
  /** Whether nobody's start would be later for it. */
  isQuiet: () => boolean;
  /** Whether a program's next request would have to wait for a machine. */
  wants: (itemHash: ItemHash) => boolean;
}

interface Spare {
  execution: Execution;
  /** Ends its life. */
  life: IdleTimer | undefined;
}

/**
 * Machines that are restored ahead, for the programs that are the most likely to be asked next: one for each. They are
 * made one after the other while the node has nothing better to do, from snapshots only.
 */
export class Spares implements Disposable {
  readonly #components: SparesComponents;
  readonly #spares = new Map<ItemHash, Spare>();
  /** Those that start from a snapshot. */
  readonly #programs = new Map<ItemHash, Runnable>();
  readonly #soon: IdleTimer;
  #isDue = false;
  #making: Execution | undefined;
  #ended = false;

  constructor(components: SparesComponents) {
    this.#components = components;
    this.#soon = idleTimer(REFILL_AFTER_MS, () => this.#refill());
  }

  /** A program's machine was started: those that start from snapshots get spares. */
  learn(program: Runnable, from: StartedFrom): void {
    if (from === 'program' || from === 'runtime') this.#programs.set(program.itemHash, program);
    else if (from === 'boot') this.#programs.delete(program.itemHash);
  }

  /** Something has happened after which a program may want a spare. */
  consider(): void {
    if (this.#isDue || this.#ended || this.#components.budgetMiB < SPARE_MIB) return;
    this.#isDue = true;
    this.#soon.arm();
  }

  /** The spare of a program, which is the caller's then. */
  take(itemHash: ItemHash): Execution | undefined {
    const execution = this.#spares.get(itemHash)?.execution;
    if (execution?.state !== 'spare' || !execution.accepting) return undefined;
    this.#remove(itemHash);
    this.consider();
    return execution;
  }

  /** The spare of a program, ready or in the making. */
  of(itemHash: ItemHash): Execution | undefined {
    return this.#spares.get(itemHash)?.execution;
  }

  programs(): IterableIterator<ItemHash> {
    return this.#spares.keys();
  }

  /** Gives the processor of a spare in the making to somebody who waits for one. */
  yield(): void {
    void this.#making?.stop('a start waits for its processor');
  }

  /** Makes a spare of a program now, whether it is likely to be asked or not. False if it did not become one. */
  async make(program: Runnable): Promise<boolean> {
    const { itemHash } = program;
    const known = this.#spares.get(itemHash)?.execution;
    if (known?.accepting) return await known.readyAhead;
    const execution = this.#components.begin(program);
    const spare: Spare = { execution, life: undefined };
    this.#spares.set(itemHash, spare);
    void execution.ended.then(() => {
      if (this.#spares.get(itemHash) === spare) this.#remove(itemHash);
    });
    const isReady = await execution.readyAhead;
    if (isReady) this.#live(itemHash, spare);
    return isReady;
  }

  /** Ends the spare of a program: it is made anew from what the program is made of now. */
  renew(itemHash: ItemHash): void {
    this.#drop(itemHash, 'its program has been updated');
    this.consider();
  }

  /** Ends the spare of a program, and makes none until it is asked again. */
  forget(itemHash: ItemHash): void {
    this.#programs.delete(itemHash);
    this.#components.demand.forget(itemHash);
    this.#drop(itemHash, 'its program is not to have one');
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#soon[Symbol.dispose]();
    for (const itemHash of this.#spares.keys()) this.#remove(itemHash);
  }

  #refill(): void {
    this.#isDue = false;
    // It is considered again when that start has ended.
    if (this.#ended || this.#making || !this.#components.isQuiet()) return;
    const program = this.#next();
    if (program) void this.#makeAhead(program);
  }

  async #makeAhead(program: Runnable): Promise<void> {
    const made = this.make(program);
    this.#making = this.of(program.itemHash);
    const isReady = await made;
    // One that had to make way for a start is tried again; what else failed, would fail again.
    if (!isReady && !this.#making?.wasStopped) this.#programs.delete(program.itemHash);
    this.#making = undefined;
    this.consider();
  }

  /** The program that wants a spare the most, if there is room for it, or for it rather than for another. */
  #next(): Runnable | undefined {
    const nowMs = performance.now();
    let best: { program: Runnable; score: number } | undefined;
    for (const [itemHash, program] of this.#programs) {
      const score = this.#components.demand.score(itemHash, nowMs);
      if (score < LEAST_SCORE) this.#programs.delete(itemHash);
      else if (score > (best?.score ?? 0) && !this.#spares.has(itemHash) && this.#components.wants(itemHash)) {
        best = { program, score };
      }
    }
    if (!best || (this.#spares.size + 1) * SPARE_MIB <= this.#components.budgetMiB) return best?.program;
    const least = this.#least(nowMs);
    // Twice as likely, or two of them would take turns in ending each other's.
    if (!least || least.score * 2 > best.score) return undefined;
    this.#drop(least.itemHash, 'another program is more likely to be asked');
    return best.program;
  }

  #least(nowMs: number): { itemHash: ItemHash; score: number } | undefined {
    let least: { itemHash: ItemHash; score: number } | undefined;
    for (const itemHash of this.#spares.keys()) {
      const score = this.#components.demand.score(itemHash, nowMs);
      if (score < (least?.score ?? Number.POSITIVE_INFINITY)) least = { itemHash, score };
    }
    return least;
  }

  #live(itemHash: ItemHash, spare: Spare): void {
    if (this.#spares.get(itemHash) !== spare) return;
    const fallsMs = this.#components.demand.msUntil(itemHash, { score: LEAST_SCORE, nowMs: performance.now() });
    // One that was made by hand may be of a program that nobody asks.
    const lifeMs = fallsMs > 0 ? Math.min(fallsMs, SPARE_LIFE_MS) : SPARE_LIFE_MS;
    spare.life = idleTimer(lifeMs, () => {
      this.#drop(itemHash, 'it was there for long enough');
      this.consider();
    });
    spare.life.arm();
  }

  #drop(itemHash: ItemHash, reason: string): void {
    const execution = this.of(itemHash);
    this.#remove(itemHash);
    void execution?.stop(reason);
  }

  #remove(itemHash: ItemHash): void {
    this.#spares.get(itemHash)?.life?.[Symbol.dispose]();
    this.#spares.delete(itemHash);
  }
}
