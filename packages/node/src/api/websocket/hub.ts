import { paced } from '../../deadline.ts';
import type { WebSocketLimits } from './limits.ts';
import type { Frame, Subscriber } from './subscriber.ts';

/** What a client wants to be told of. Clients with the same key share everything but their connections. */
export interface Interest<T> {
  readonly key: string;
  /** In which form it is told; each is made once, however many want it. */
  readonly form: string;
  matches(message: T): boolean;
}

export interface HubOptions<T> {
  limits: WebSocketLimits;
  encode: (message: T, form: string) => Frame;
}

interface Group<T> {
  readonly interest: Interest<T>;
  readonly members: Set<Subscriber>;
  pending: Frame[];
}

/**
 * Tells many of the same messages. Each is filtered and encoded once for all who want the same, and what comes within
 * a short time is written together: one write for each client, of bytes that they share.
 */
export class Hub<T> implements Disposable {
  readonly #groups = new Map<string, Group<T>>();
  readonly #options: HubOptions<T>;
  readonly #flushing: ReturnType<typeof paced>;
  #pendingBytes = 0;
  #size = 0;

  constructor(options: HubOptions<T>) {
    this.#options = options;
    this.#flushing = paced(options.limits.coalesceMs, () => this.#flush());
  }

  /** How many are told now. */
  get size(): number {
    return this.#size;
  }

  /** Tells of a message soon. */
  tell(message: T): void {
    const frames = new Map<string, Frame>();
    for (const group of this.#groups.values()) {
      const { form } = group.interest;
      if (!group.interest.matches(message)) continue;
      const frame = frames.get(form) ?? this.#options.encode(message, form);
      frames.set(form, frame);
      group.pending.push(frame);
      this.#pendingBytes += frame.bytes.length;
    }
    if (this.#pendingBytes === 0) return;
    if (this.#pendingBytes > this.#options.limits.batchBytes) this.#flush();
    else this.#flushing.ask();
  }

  /** Has a client told of all that comes from now on, until it leaves. */
  join(subscriber: Subscriber, interest: Interest<T>): void {
    const group = this.#groups.get(interest.key) ?? { interest, members: new Set(), pending: [] };
    this.#groups.set(interest.key, group);
    // What came before it is for the others.
    flush(group);
    group.members.add(subscriber);
    this.#size += 1;
    subscriber.onClose(() => this.#leave(subscriber, group));
  }

  /** Says to all that the node goes. */
  close(code: number, reason: string): void {
    for (const { members } of this.#groups.values()) for (const one of members) one.close(code, reason);
  }

  [Symbol.dispose](): void {
    this.#flushing[Symbol.dispose]();
    this.#groups.clear();
  }

  #leave(subscriber: Subscriber, group: Group<T>): void {
    if (!group.members.delete(subscriber)) return;
    this.#size -= 1;
    if (group.members.size === 0 && this.#groups.get(group.interest.key) === group) {
      this.#groups.delete(group.interest.key);
    }
  }

  #flush(): void {
    this.#pendingBytes = 0;
    for (const group of this.#groups.values()) flush(group);
  }
}

function flush(group: Group<unknown>): void {
  const frames = group.pending;
  const [first] = frames;
  if (first === undefined) return;
  group.pending = [];
  const batch = frames.length === 1 ? first.bytes : Buffer.concat(frames.map(({ bytes }) => bytes));
  for (const member of group.members) member.take(frames, batch);
}
