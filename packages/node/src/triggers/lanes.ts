import type { ItemHash } from '@vmlet/messages';

/** Deliveries to one program at the same time. */
const MAX_PER_PROGRAM = 4;
/** Deliveries to all programs of one owner at the same time. */
const MAX_PER_OWNER = 16;
/** Deliveries at the same time. */
const MAX_AT_ONCE = 64;

/** One program's deliveries. */
export interface Lane {
  readonly program: ItemHash;
  /** Ids of those under way. */
  readonly inFlight: Set<number>;
  /** Whether more may be due. */
  hasMore: boolean;
  /** Whose program it is, once it was looked up. */
  owner: string | undefined;
  /** Tries that have failed since the last one that did not. */
  failures: number;
  /** Nothing is sent before; in milliseconds since 1970. */
  heldUntilMs: number;
  /** When it was given a turn the last time, counted in turns. */
  lastTurn: number;
}

/**
 * Whose delivery is next: the program's whose owner has the fewest under way, and of those the one that has waited longest.
 * However slow a program is, it takes no more than its own few places.
 */
export class Lanes {
  readonly #lanes = new Map<ItemHash, Lane>();
  #turns = 0;
  #inFlight = 0;

  get inFlight(): number {
    return this.#inFlight;
  }

  all(): IterableIterator<Lane> {
    return this.#lanes.values();
  }

  /** Something of a program's may be due. */
  wake(program: ItemHash): void {
    const lane = this.#lanes.get(program) ?? empty(program);
    lane.hasMore = true;
    this.#lanes.set(program, lane);
  }

  /** The lane that may send one more now. */
  next(nowMs: number): Lane | undefined {
    if (this.#inFlight >= MAX_AT_ONCE) return undefined;
    const perOwner = new Map<string, number>();
    for (const { owner, inFlight } of this.#lanes.values()) {
      if (owner !== undefined) perOwner.set(owner, (perOwner.get(owner) ?? 0) + inFlight.size);
    }
    const ofOwner = ({ owner }: Lane) => (owner === undefined ? 0 : (perOwner.get(owner) ?? 0));
    let best: Lane | undefined;
    for (const lane of this.#lanes.values()) {
      // One at a time to a program that has just failed: it may be down altogether.
      const places = lane.failures > 0 ? 1 : MAX_PER_PROGRAM;
      if (!lane.hasMore || lane.heldUntilMs > nowMs || lane.inFlight.size >= places) continue;
      if (ofOwner(lane) >= MAX_PER_OWNER) continue;
      const isBetter =
        !best || ofOwner(lane) < ofOwner(best) || (ofOwner(lane) === ofOwner(best) && lane.lastTurn < best.lastTurn);
      if (isBetter) best = lane;
    }
    return best;
  }

  begin(lane: Lane, id: number): void {
    lane.inFlight.add(id);
    lane.lastTurn = ++this.#turns;
    this.#inFlight++;
  }

  end(lane: Lane, id: number): void {
    if (lane.inFlight.delete(id)) this.#inFlight--;
    this.tidy(lane);
  }

  /** Forgets a lane that nothing is known of. */
  tidy({ program, inFlight, hasMore, failures }: Lane): void {
    if (inFlight.size === 0 && !hasMore && failures === 0) this.#lanes.delete(program);
  }

  /** When the next lane that is held may go on. */
  nextHeldMs(nowMs: number): number | undefined {
    let next: number | undefined;
    for (const { heldUntilMs, hasMore } of this.#lanes.values()) {
      if (hasMore && heldUntilMs > nowMs && heldUntilMs < (next ?? Number.POSITIVE_INFINITY)) next = heldUntilMs;
    }
    return next;
  }
}

function empty(program: ItemHash): Lane {
  return {
    ...{ program, inFlight: new Set<number>(), hasMore: true, owner: undefined },
    ...{ failures: 0, heldUntilMs: 0, lastTurn: 0 },
  };
}
