import { TimeLimits } from '../../deadline.ts';

/** What never comes is waited for this often. */
export const MAX_TRIES = 10;
const MAX_RETRY_DELAY_MS = 300_000;
/** After a failure of the disk. */
const MIN_PAUSE_MS = 1000;

/** How long to wait before try number `n`, in milliseconds: any time up to 2^n seconds, so that not all come at once. */
export function retryDelayMs(n: number): number {
  return Math.random() * Math.min(2 ** n * 1000, MAX_RETRY_DELAY_MS);
}

/** What wakes what waits for something that nobody announces. */
interface RetriesComponents {
  /** When the next try is due, in milliseconds since 1970; undefined if nothing waits. */
  nextDueMs: () => number | undefined;
  now: () => number;
  /** Makes all tries that are due. */
  run: () => Promise<void>;
  onError: (error: unknown) => void;
}

/** Makes tries when they are due. */
export class Retries implements Disposable {
  readonly #components: RetriesComponents;
  readonly #limits = new TimeLimits();
  #timer: { dueMs: number; limit: ReturnType<TimeLimits['start']> } | undefined;
  #running = false;
  #disposed = false;

  constructor(components: RetriesComponents) {
    this.#components = components;
  }

  /** MUST be called after anything began to wait. */
  arm({ pauseMs = 0 }: { pauseMs?: number } = {}): void {
    if (this.#disposed || this.#running) return;
    const { nextDueMs, now } = this.#components;
    const dueMs = nextDueMs();
    if (dueMs === undefined || (this.#timer !== undefined && this.#timer.dueMs <= dueMs)) return;
    this.#timer?.limit[Symbol.dispose]();
    const limit = this.#limits.start(Math.max(dueMs - now(), pauseMs, 0), () => void this.#wake());
    this.#timer = { dueMs, limit };
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.limit[Symbol.dispose]();
    this.#timer = undefined;
  }

  async #wake(): Promise<void> {
    this.#timer?.limit[Symbol.dispose]();
    this.#timer = undefined;
    this.#running = true;
    let pauseMs = 0;
    try {
      await this.#components.run();
    } catch (error) {
      pauseMs = MIN_PAUSE_MS;
      if (!this.#disposed) this.#components.onError(error);
    }
    this.#running = false;
    this.arm({ pauseMs });
  }
}
