import { orAborted } from '../deadline.ts';
import { FairLine } from './fair-line.ts';

/** Lets so many in at a time; the others wait in the order they came, those of an owner that has more behind the rest. */
export class Semaphore {
  readonly #places: number;
  #free: number;
  #freed = Promise.withResolvers<void>();
  readonly #line = new FairLine();

  constructor(places: number) {
    this.#places = places;
    this.#free = places;
  }

  /** Places that nobody has. */
  get free(): number {
    return this.#free;
  }

  /** Waits for a place; disposing of it gives it to the next in line. Rejects with the signal's reason. */
  async acquire(signal: AbortSignal, owner = ''): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      this.#line.take(owner, 1);
    } else await this.#wait(owner, signal);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#release(owner);
        held = false;
      },
    };
  }

  /** Waits until nobody is in, and takes no place. Rejects with the signal's reason. */
  async idle(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#free < this.#places) await orAborted(this.#freed.promise, signal);
  }

  async #wait(owner: string, signal: AbortSignal): Promise<void> {
    const { turn, leave } = this.#line.join(owner, 1);
    try {
      await orAborted(turn, signal);
    } catch (error) {
      if (!leave()) this.#release(owner);
      throw error;
    }
  }

  #release(owner: string): void {
    this.#line.giveBack(owner, 1);
    if (this.#line.advance(() => true)) return;
    this.#free++;
    this.#freed.resolve();
    this.#freed = Promise.withResolvers<void>();
  }
}
