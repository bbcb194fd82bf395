import type { ItemHash } from '@vmlet/messages';
import {
  type Condition,
  keyOf,
  MAX_SUBSCRIPTIONS,
  type Matchable,
  MatchedMessage,
  readSubscription,
  type Subscription,
} from './subscription.ts';

/** A program that listens, or one version of it. */
export interface Listener {
  readonly itemHash: ItemHash;
  /** The program that it replaces, which is its family; itself if it replaces none. */
  readonly original: ItemHash;
  /** `content.time`, by which the newest version is told. */
  readonly time: number;
  /** It hears of messages behind this one: its own. */
  readonly seq: number;
  /** `on.message`; a version without any takes the others' place and hears nothing. */
  readonly on: readonly Readonly<Record<string, unknown>>[];
}

interface Entry {
  readonly listener: Listener;
  readonly subscription: Subscription;
}

/** Members by which subscriptions are found, the one that few messages share first. */
const SELECTIVE: readonly (readonly string[])[] = [
  ['item_hash'],
  ['content', 'ref'],
  ['content', 'key'],
  ['content', 'type'],
  ['channel'],
  ['sender'],
  ['content', 'address'],
  ['type'],
  ['chain'],
];

/**
 * Who listens to what. A message is compared with the subscriptions that ask for what it has in one of its telling members,
 * and with those that name none of these.
 */
export class Listeners {
  readonly #listeners = new Map<ItemHash, Listener>();
  readonly #families = new Map<ItemHash, Set<Listener>>();
  /** By member, then by value. */
  readonly #indexed = new Map(
    SELECTIVE.map((path) => [keyOf(path), { path, byValue: new Map<unknown, Set<Entry>>() }]),
  );
  readonly #others = new Set<Entry>();
  readonly #entries = new Map<ItemHash, Entry[]>();

  /** Whether somebody listens at all. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** The subscriptions that are understood. */
  get size(): number {
    return this.#entries.values().reduce((sum, entries) => sum + entries.length, 0);
  }

  has(itemHash: ItemHash): boolean {
    return this.#listeners.has(itemHash);
  }

  /** The newest version of each program that listens. */
  newest(): Listener[] {
    const newest = [...this.#families.keys()].map((original) => this.#newest(original, Number.POSITIVE_INFINITY));
    return newest.filter((listener) => listener !== undefined).filter(({ itemHash }) => this.#entries.has(itemHash));
  }

  /** Takes a program in force; the same one again changes nothing. */
  add(listener: Listener): void {
    const { itemHash, original, on } = listener;
    if (this.#listeners.has(itemHash)) return;
    this.#listeners.set(itemHash, listener);
    setOf(this.#families, original).add(listener);
    const entries = on.slice(0, MAX_SUBSCRIPTIONS).flatMap((one): Entry[] => {
      const subscription = readSubscription(one);
      return subscription ? [{ listener, subscription }] : [];
    });
    if (entries.length === 0) return;
    this.#entries.set(itemHash, entries);
    for (const entry of entries) for (const place of this.#placesOf(entry)) place.add(entry);
  }

  /** Forgets one version; the family's next one hears instead. */
  remove(itemHash: ItemHash): void {
    const listener = this.#listeners.get(itemHash);
    if (!listener) return;
    this.#listeners.delete(itemHash);
    const family = this.#families.get(listener.original);
    family?.delete(listener);
    if (family?.size === 0) this.#families.delete(listener.original);
    for (const entry of this.#entries.get(itemHash) ?? []) {
      const placed = placeOf(entry.subscription);
      if (!placed) this.#others.delete(entry);
      else this.#unplace(entry, placed);
    }
    this.#entries.delete(itemHash);
  }

  /** The families that a message is for. */
  matching(message: Matchable, seq: number): ItemHash[] {
    const matched = new MatchedMessage(message);
    const families = new Set<ItemHash>();
    const newest = new Map<ItemHash, Listener | undefined>();
    const ask = ({ listener, subscription }: Entry): void => {
      const { original } = listener;
      if (families.has(original)) return;
      if (!newest.has(original)) newest.set(original, this.#newest(original, seq));
      if (newest.get(original) !== listener) return;
      if (matched.satisfies(subscription)) families.add(original);
    };
    for (const [key, { path, byValue }] of this.#indexed) {
      if (byValue.size === 0) continue;
      for (const value of matched.valuesAt(path, key)) for (const entry of byValue.get(value) ?? []) ask(entry);
    }
    for (const entry of this.#others) ask(entry);
    return [...families];
  }

  /** The version that was in force when a message came: one that was signed later, and put in force before it. */
  #newest(original: ItemHash, seq: number): Listener | undefined {
    let newest: Listener | undefined;
    for (const listener of this.#families.get(original) ?? []) {
      if (listener.seq >= seq) continue;
      if (!newest || isNewer(listener, newest)) newest = listener;
    }
    return newest;
  }

  #placesOf(entry: Entry): Set<Entry>[] {
    const placed = placeOf(entry.subscription);
    if (!placed) return [this.#others];
    const byValue = this.#byValue(placed);
    return [...placed.oneOf].map((value) => setOf(byValue, value));
  }

  #unplace(entry: Entry, placed: Condition): void {
    const byValue = this.#byValue(placed);
    for (const value of placed.oneOf) {
      const place = byValue.get(value);
      place?.delete(entry);
      if (place?.size === 0) byValue.delete(value);
    }
  }

  #byValue({ key }: Condition): Map<unknown, Set<Entry>> {
    const place = this.#indexed.get(key);
    if (!place) throw new TypeError(`Cannot place a subscription by ${key}: no index, expected one`);
    return place.byValue;
  }
}

/** The condition by which a subscription is found; undefined if it names no telling member. */
function placeOf(subscription: Subscription): Condition | undefined {
  for (const path of SELECTIVE) {
    const key = keyOf(path);
    const condition = subscription.find((one) => one.key === key);
    if (condition) return condition;
  }
  return undefined;
}

function setOf<K, V>(map: Map<K, Set<V>>, key: K): Set<V> {
  const known = map.get(key) ?? new Set<V>();
  map.set(key, known);
  return known;
}

/** The order in which versions replace each other, the same on every node. */
function isNewer(one: Listener, other: Listener): boolean {
  // The original itself is the oldest, whatever its time says.
  if (one.itemHash === one.original) return false;
  if (other.itemHash === other.original) return true;
  return one.time === other.time ? one.itemHash < other.itemHash : one.time > other.time;
}
