/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(list: readonly T[]): T {
    const one = list[this.below(list.length)];
    if (one === undefined) throw new RangeError('Cannot pick: the list is empty, expected one thing at least');
    return one;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** The same bytes in pieces, some of them of one byte. */
  cut(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let offset = 0; offset < bytes.length; ) {
      const length = this.below(4) === 0 ? 1 : 1 + this.below(bytes.length);
      pieces.push(bytes.subarray(offset, offset + length));
      offset += length;
    }
    return pieces;
  }
}
