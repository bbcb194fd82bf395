import type { ItemHash } from '@vmlet/messages';

/** After this long without a request a program is half as likely to be asked next. In milliseconds. */
const HALF_LIFE_MS = 10 * 60_000;
/** Programs that are remembered; the least likely one is forgotten for another. */
const MAX_REMEMBERED = 1024;

interface Asked {
  score: number;
  atMs: number;
}

/**
 * How likely each program is to be asked next: the number of its requests, each of them counting half as much with each
 * half-life that has passed since. So it goes by rate and by how long ago that was.
 */
export class Demand {
  readonly #asked = new Map<ItemHash, Asked>();

  /** A program was asked. `nowMs` is of a clock that never goes back. */
  note(itemHash: ItemHash, nowMs: number): void {
    const asked = this.#asked.get(itemHash);
    if (asked) {
      asked.score = decayed(asked, nowMs) + 1;
      asked.atMs = nowMs;
      return;
    }
    if (this.#asked.size >= MAX_REMEMBERED) this.#forgetLeast(nowMs);
    this.#asked.set(itemHash, { score: 1, atMs: nowMs });
  }

  score(itemHash: ItemHash, nowMs: number): number {
    const asked = this.#asked.get(itemHash);
    return asked ? decayed(asked, nowMs) : 0;
  }

  forget(itemHash: ItemHash): void {
    this.#asked.delete(itemHash);
  }

  /** How long it takes until a program's score has fallen so far, in milliseconds. */
  msUntil(itemHash: ItemHash, { score, nowMs }: { score: number; nowMs: number }): number {
    return Math.max(0, HALF_LIFE_MS * Math.log2(this.score(itemHash, nowMs) / score));
  }

  #forgetLeast(nowMs: number): void {
    let least: { itemHash: ItemHash; score: number } | undefined;
    for (const [itemHash, asked] of this.#asked) {
      const score = decayed(asked, nowMs);
      if (!least || score < least.score) least = { itemHash, score };
    }
    if (least) this.#asked.delete(least.itemHash);
  }
}

function decayed({ score, atMs }: Asked, nowMs: number): number {
  return score * 2 ** (-(nowMs - atMs) / HALF_LIFE_MS);
}
