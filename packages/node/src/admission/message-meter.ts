import { VmletError } from '../errors.ts';
import { type OwnerCaps, ownerKey } from './caps.ts';

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

export interface MessageMeterOptions {
  readonly capsOf: (address: string) => OwnerCaps;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/**
 * How much text owners have had kept in this hour of the clock: messages stay for good, and nothing else of them is
 * counted. It is in memory alone, so a new start of the node begins a new count.
 */
export class MessageMeter {
  readonly #options: MessageMeterOptions;
  #hour = 0;
  readonly #bytes = new Map<string, number>();

  constructor(options: MessageMeterOptions) {
    this.#options = options;
  }

  /**
   * Counts a message of an owner.
   * @throws VmletError `OWNER_MESSAGES_EXCEEDED`, with the time until the next hour; then it is not counted
   */
  take(owner: string, bytes: number): void {
    const { messagesMiB } = this.#options.capsOf(owner);
    if (messagesMiB === Number.POSITIVE_INFINITY) return;
    const nowMs = (this.#options.now ?? Date.now)();
    const hour = Math.floor(nowMs / HOUR_MS);
    if (hour !== this.#hour) this.#bytes.clear();
    this.#hour = hour;
    const used = this.#bytes.get(ownerKey(owner)) ?? 0;
    if (used + bytes <= messagesMiB * MIB) this.#bytes.set(ownerKey(owner), used + bytes);
    else throw exceeded({ owner, used, max: messagesMiB }, (hour + 1) * HOUR_MS - nowMs);
  }
}

function exceeded({ owner, used, max }: { owner: string; used: number; max: number }, waitMs: number): VmletError {
  const operands = { owner, usedMiB: Math.floor(used / MIB), maxMiB: max };
  return new VmletError('OWNER_MESSAGES_EXCEEDED', { operands, retryAfterSeconds: Math.ceil(waitMs / 1000) });
}
