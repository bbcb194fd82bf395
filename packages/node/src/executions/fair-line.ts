/** One that waits, and how much it is to get. */
interface Waiting {
  owner: string;
  amount: number;
  turn: PromiseWithResolvers<void>;
}

/**
 * A line in which nobody is starved: the next is who came first among the owners that have least of what is given out,
 * so that one who asks for a hundred things does not hold up another who asks for one. The next in line is never passed
 * by somebody who would take less.
 */
export class FairLine {
  readonly #waiting: Waiting[] = [];
  /** What each owner has of it. */
  readonly #held = new Map<string, number>();

  get length(): number {
    return this.#waiting.length;
  }

  /** What the first few in line want together. */
  wanted(count: number): number {
    return this.#waiting.slice(0, count).reduce((sum, { amount }) => sum + amount, 0);
  }

  /** Joins the line. `leave` is for who has stopped waiting: false if its turn has come meanwhile. */
  join(owner: string, amount: number): { turn: Promise<void>; leave: () => boolean } {
    const waiting = { owner, amount, turn: Promise.withResolvers<void>() };
    this.#waiting.push(waiting);
    return { turn: waiting.turn.promise, leave: () => this.#remove(waiting) };
  }

  /** Gives the next in line its turn, if `fits` says that there is enough for it. False if nobody's turn has come. */
  advance(fits: (amount: number) => boolean): boolean {
    const next = this.#next();
    if (!next || !fits(next.amount)) return false;
    this.#remove(next);
    this.take(next.owner, next.amount);
    next.turn.resolve();
    return true;
  }

  /** Notes that an owner has so much more; those in line when their turn comes are noted by `advance`. */
  take(owner: string, amount: number): void {
    this.#held.set(owner, (this.#held.get(owner) ?? 0) + amount);
  }

  /** Notes that it has so much less. */
  giveBack(owner: string, amount: number): void {
    const left = (this.#held.get(owner) ?? 0) - amount;
    if (left > 0) this.#held.set(owner, left);
    else this.#held.delete(owner);
  }

  #next(): Waiting | undefined {
    const held = ({ owner }: Waiting) => this.#held.get(owner) ?? 0;
    let next = this.#waiting[0];
    for (const waiting of this.#waiting) if (next && held(waiting) < held(next)) next = waiting;
    return next;
  }

  #remove(waiting: Waiting): boolean {
    const index = this.#waiting.indexOf(waiting);
    if (index >= 0) this.#waiting.splice(index, 1);
    return index >= 0;
  }
}
