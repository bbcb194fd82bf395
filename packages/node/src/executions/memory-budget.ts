import { deadline, orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { FairLine } from './fair-line.ts';

/** Room is made for so many in line at once: machines take their time to end, and their ends go side by side. */
const AHEAD = 4;

export interface MemoryBudgetConfig {
  /** What a node's machines may have together. */
  budgetMiB: number;
  /** Starts that may wait for memory. */
  maxWaiting: number;
  /** How long one may wait for it, in milliseconds. */
  waitMs: number;
}

/** Memory that is set aside until disposed of. */
export interface Reservation extends Disposable {
  /** Gives back all but so much. */
  shrink(toMiB: number): void;
}

/** The memory that a node's machines may have together, and the line of those that wait for some. */
export class MemoryBudget {
  readonly #config: MemoryBudgetConfig;
  readonly #makeRoom: (shortMiB: number) => void;
  readonly #line = new FairLine();
  #usedMiB = 0;
  #freed = Promise.withResolvers<void>();

  /** @param makeRoom asks machines that do nothing to go, until so much is free or about to be */
  constructor(config: MemoryBudgetConfig, makeRoom: (shortMiB: number) => void) {
    this.#config = config;
    this.#makeRoom = makeRoom;
  }

  /**
   * Takes memory for one machine, and waits in line if it is short.
   * @throws VmletError `NODE_FULL` when the line is full, or the wait was too long; the signal's reason
   */
  async reserve(memoryMiB: number, { owner, signal }: { owner: string; signal: AbortSignal }): Promise<Reservation> {
    signal.throwIfAborted();
    const now = this.#line.length === 0 ? this.tryReserve(memoryMiB, owner) : undefined;
    if (now) return now;
    if (memoryMiB > this.#config.budgetMiB || this.#line.length >= this.#config.maxWaiting) {
      throw this.#full(memoryMiB);
    }
    const { turn, leave } = this.#line.join(owner, memoryMiB);
    this.changed();
    using limit = deadline(this.#config.waitMs, signal);
    try {
      await orAborted(turn, limit.signal);
    } catch (error) {
      if (!leave()) this.#free(memoryMiB, owner);
      throw limit.expired ? this.#full(memoryMiB) : error;
    }
    return this.#reservation(memoryMiB, owner);
  }

  /**
   * The same for a machine that nobody waits for: it makes none go, and waits behind all others.
   * @throws VmletError `NODE_FULL` if it never fits; the signal's reason
   */
  async reserveIdle(memoryMiB: number, signal: AbortSignal): Promise<Reservation> {
    if (memoryMiB > this.#config.budgetMiB) throw this.#full(memoryMiB);
    for (;;) {
      const reservation = this.tryReserve(memoryMiB, '');
      if (reservation) return reservation;
      await orAborted(this.#freed.promise, signal);
    }
  }

  /** Takes memory if it is free and nobody waits for it. */
  tryReserve(memoryMiB: number, owner: string): Reservation | undefined {
    if (this.#line.length > 0 || !this.#fits(memoryMiB)) return undefined;
    this.#usedMiB += memoryMiB;
    this.#line.take(owner, memoryMiB);
    return this.#reservation(memoryMiB, owner);
  }

  /** Gives memory to those in line, and asks for what is short. Called when a machine could go that could not before. */
  changed(): void {
    while (this.#line.advance((memoryMiB) => this.#fits(memoryMiB, { take: true })));
    if (this.#line.length === 0) return;
    this.#makeRoom(this.#line.wanted(AHEAD) - (this.#config.budgetMiB - this.#usedMiB));
  }

  #fits(memoryMiB: number, { take = false } = {}): boolean {
    const fits = this.#usedMiB + memoryMiB <= this.#config.budgetMiB;
    if (fits && take) this.#usedMiB += memoryMiB;
    return fits;
  }

  #reservation(memoryMiB: number, owner: string): Reservation {
    let heldMiB = memoryMiB;
    const shrink = (toMiB: number) => {
      const freedMiB = heldMiB - toMiB;
      if (freedMiB <= 0) return;
      heldMiB = toMiB;
      this.#free(freedMiB, owner);
    };
    return { shrink, [Symbol.dispose]: () => shrink(0) };
  }

  #free(memoryMiB: number, owner: string): void {
    this.#usedMiB -= memoryMiB;
    this.#line.giveBack(owner, memoryMiB);
    this.changed();
    this.#freed.resolve();
    this.#freed = Promise.withResolvers<void>();
  }

  #full(memoryMiB: number): VmletError {
    const operands = { memoryMiB, usedMiB: this.#usedMiB, budgetMiB: this.#config.budgetMiB };
    return new VmletError('NODE_FULL', { operands });
  }
}
