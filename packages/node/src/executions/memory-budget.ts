import { orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';

/** The memory that a node's machines may have together. */
export class MemoryBudget {
  readonly #budgetMiB: number;
  #usedMiB = 0;
  #freed = Promise.withResolvers<void>();

  constructor(budgetMiB: number) {
    this.#budgetMiB = budgetMiB;
  }

  /**
   * Takes memory for one machine until disposed of, and waits for machines on their way out if it is short.
   * @param evict asks one more machine to go; false if none goes and none can
   * @throws VmletError `NODE_FULL` when nothing will be freed; the signal's reason
   */
  async reserve(memoryMiB: number, options: { evict: () => boolean; signal: AbortSignal }): Promise<Disposable> {
    while (this.#usedMiB + memoryMiB > this.#budgetMiB) {
      if (memoryMiB > this.#budgetMiB || !options.evict()) {
        const operands = { memoryMiB, usedMiB: this.#usedMiB, budgetMiB: this.#budgetMiB };
        throw new VmletError('NODE_FULL', { operands });
      }
      await orAborted(this.#freed.promise, options.signal);
    }
    this.#usedMiB += memoryMiB;
    return { [Symbol.dispose]: () => this.#free(memoryMiB) };
  }

  /**
   * The same for a machine that nobody waits for: it makes none go.
   * @throws VmletError `NODE_FULL` if it never fits; the signal's reason
   */
  async reserveIdle(memoryMiB: number, signal: AbortSignal): Promise<Disposable> {
    while (this.#usedMiB + memoryMiB > this.#budgetMiB && memoryMiB <= this.#budgetMiB) {
      await orAborted(this.#freed.promise, signal);
    }
    return await this.reserve(memoryMiB, { evict: () => false, signal });
  }

  #free(memoryMiB: number): void {
    this.#usedMiB -= memoryMiB;
    this.#freed.resolve();
    this.#freed = Promise.withResolvers<void>();
  }
}
