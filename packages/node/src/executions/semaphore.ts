import { orAborted } from '../deadline.ts';

/** Lets so many in at a time; the others wait in the order they came. */
export class Semaphore {
  readonly #places: number;
  #free: number;
  readonly #waiting: Array<() => void> = [];
  #freed = Promise.withResolvers<void>();

  constructor(places: number) {
    this.#places = places;
    this.#free = places;
  }

  /** Waits for a place; disposing of it gives it to the next in line. Rejects with the signal's reason. */
  async acquire(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#release();
        held = false;
      },
    };
  }

  /** Waits until nobody is in, and takes no place. Rejects with the signal's reason. */
  async idle(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#free < this.#places) await orAborted(this.#freed.promise, signal);
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    try {
      await orAborted(promise, signal);
    } catch (error) {
      const index = this.#waiting.indexOf(resolve);
      if (index >= 0) this.#waiting.splice(index, 1);
      else this.#release();
      throw error;
    }
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else {
      this.#free++;
      this.#freed.resolve();
      this.#freed = Promise.withResolvers<void>();
    }
  }
}
