import { randomBytes } from 'node:crypto';
import { type IdleTimer, idleTimer } from '../../deadline.ts';
import { startWaiting, type WaitingQemu, type WaitingRequest, type WaitingShape } from './waiting.ts';

/** How long nobody has taken one before others are started in its place, in milliseconds: a restore is using the processors. */
const REFILL_AFTER_MS = 250;
/** Shapes of which some are kept, those asked for last. */
const MAX_SHAPES = 4;

export interface WaitingConfig extends Omit<WaitingRequest, 'name' | 'receiver' | 'egress'> {
  namePrefix: string;
  /** How many are kept of each shape. */
  perShape: number;
  /** One could not be started: nothing fails for it but the next start is slower. */
  onError: (error: unknown) => void;
}

interface Kept {
  shape: WaitingShape;
  waiting: WaitingQemu[];
}

/**
 * QEMUs that are started ahead and wait for the files of a snapshot. They are of a few shapes, the last that were asked
 * for; each that is taken is replaced once nobody has taken another for a while.
 */
export class WaitingMachines implements AsyncDisposable {
  readonly #config: WaitingConfig;
  /** The one asked for last is the last. */
  readonly #shapes = new Map<string, Kept>();
  readonly #refill: IdleTimer;
  #filling: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(config: WaitingConfig) {
    this.#config = config;
    this.#refill = idleTimer(REFILL_AFTER_MS, () => void this.fill());
  }

  /** One of that shape, which is the caller's from now on; undefined if none is there. More will be, before long. */
  take(shape: WaitingShape): WaitingQemu | undefined {
    const kept = this.#wanted(shape);
    const alive = kept.waiting.find(({ process }) => !process.isOver());
    kept.waiting = kept.waiting.filter((one) => one !== alive && !one.process.isOver());
    return alive;
  }

  /** Says that some of that shape will be asked for. */
  want(shape: WaitingShape): void {
    this.#wanted(shape);
  }

  #wanted(shape: WaitingShape): Kept {
    const key = JSON.stringify(shape, Object.keys(shape).sort());
    const kept = this.#shapes.get(key) ?? { shape, waiting: [] };
    this.#shapes.delete(key);
    this.#shapes.set(key, kept);
    if (!this.#closed) this.#refill.arm();
    return kept;
  }

  /** Starts at once what is missing. Resolves, never rejects, when it is there, or one could not be started. */
  fill(): Promise<void> {
    this.#filling = this.#filling.then(() => this.#fill());
    return this.#filling;
  }

  /** Ends all that nobody has taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#refill[Symbol.dispose]();
    await this.#filling;
    await Promise.all([...this.#shapes.values()].map(endAll));
  }

  async #fill(): Promise<void> {
    for (const [key, kept] of [...this.#shapes].slice(0, -MAX_SHAPES)) {
      this.#shapes.delete(key);
      await endAll(kept);
    }
    for (const kept of this.#shapes.values()) {
      while (!this.#closed && kept.waiting.length < this.#config.perShape) {
        try {
          const started = await this.#start(kept.shape);
          // Only now: whoever took one meanwhile has left another list.
          kept.waiting.push(started);
        } catch (error) {
          this.#config.onError(error);
          return;
        }
      }
    }
  }

  async #start(shape: WaitingShape): Promise<WaitingQemu> {
    const { cage, library, namePrefix } = this.#config;
    return await startWaiting(shape, { cage, library, name: `${namePrefix}${randomBytes(6).toString('hex')}` });
  }
}

async function endAll({ waiting }: Kept): Promise<void> {
  await Promise.all(waiting.map((one) => one[Symbol.asyncDispose]()));
}
