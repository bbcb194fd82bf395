import { VmletError } from '../errors.ts';

/** What a program may call at once, and in a second after that, in units of the cheapest call. */
const MAX_BURST_UNITS = 2000;
const UNITS_PER_SECOND = 500;
/** Bodies of one program's calls that are in memory at the same time, in bytes. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;

/** What kinds of calls cost of the allowance: roughly what they cost the node. */
export const COSTS = { cheap: 1, read: 4, list: 20, sign: 10, publish: 40 } as const;

/** How much of the node one program's calls take now. */
export class Allowance {
  readonly #nowMs: () => number;
  #units = MAX_BURST_UNITS;
  #countedMs: number;
  #heldBytes = 0;

  constructor(nowMs = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#countedMs = nowMs();
  }

  /** Passes if the program may make a call of that cost. @throws VmletError `GUEST_RATE_EXCEEDED` */
  spend(units: number): void {
    const nowMs = this.#nowMs();
    const gained = ((nowMs - this.#countedMs) / 1000) * UNITS_PER_SECOND;
    this.#units = Math.min(MAX_BURST_UNITS, this.#units + gained);
    this.#countedMs = nowMs;
    if (this.#units < units) {
      const retryAfterSeconds = Math.ceil((units - this.#units) / UNITS_PER_SECOND);
      throw new VmletError('GUEST_RATE_EXCEEDED', {
        operands: { found: 'it has made more than a node answers of one program' },
        retryAfterSeconds,
      });
    }
    this.#units -= units;
  }

  /** Counts bytes that are held for the program. @throws VmletError `GUEST_RATE_EXCEEDED` */
  hold(bytes: number): void {
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) {
      throw new VmletError('GUEST_RATE_EXCEEDED', {
        operands: { found: `the bodies of those that are under way have over ${MAX_HELD_BYTES} bytes` },
        retryAfterSeconds: 1,
      });
    }
    this.#heldBytes += bytes;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}
