import type { ItemHash } from '@vmlet/messages';
import type { Ledger, LedgerEvent } from './ledger/index.ts';

export interface VersionsComponents {
  ledger: Pick<Ledger, 'programs' | 'replacementOf' | 'subscribe'>;
  /** Whether a program has a machine that takes requests, or is about to have one. */
  isServing: (itemHash: ItemHash) => boolean;
}

/** A program has another newest version than before. */
export interface Replaced {
  readonly original: ItemHash;
  /** The version that served until now. */
  readonly from: ItemHash;
  readonly to: ItemHash;
}

/**
 * Which version of a program its item_hash leads to: the newest PROGRAM in force that `replaces` it, but an older one as long
 * as that has a machine and the newest has not come up yet. A replacement's own item_hash leads to itself.
 */
export class Versions implements Disposable {
  readonly #components: VersionsComponents;
  /** By original; each request asks. */
  readonly #newest = new Map<ItemHash, ItemHash>();
  readonly #originals = new Map<ItemHash, ItemHash>();
  /** Versions that serve in place of the newest. */
  readonly #held = new Map<ItemHash, ItemHash>();
  readonly #unsubscribe: () => void;
  /** Called when a program gets another newest version. */
  onReplaced: (replaced: Replaced) => void = () => {};

  constructor(components: VersionsComponents) {
    this.#components = components;
    for (const { itemHash, content } of components.ledger.programs()) {
      if (content.replaces !== undefined) this.#learn(itemHash, content.replaces as ItemHash);
    }
    this.#unsubscribe = components.ledger.subscribe((event) => this.#see(event));
  }

  /** What an item_hash leads to now. */
  serving(itemHash: ItemHash): ItemHash {
    const newest = this.#newest.get(itemHash);
    if (newest === undefined) return itemHash;
    const held = this.#held.get(itemHash);
    if (held === undefined) return newest;
    if (this.#components.isServing(held)) return held;
    this.#held.delete(itemHash);
    return newest;
  }

  /** Lets the newest version serve, whatever served until now. */
  release(original: ItemHash): void {
    this.#held.delete(original);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #see(event: LedgerEvent): void {
    if (event.type === 'processed' && event.message.type === 'PROGRAM') {
      const { itemHash, content } = event.message;
      if (content.replaces !== undefined) this.#learn(itemHash, content.replaces as ItemHash);
    }
    if (event.type === 'forgotten' || event.type === 'removed') this.#forget(event.itemHash);
  }

  #learn(itemHash: ItemHash, original: ItemHash): void {
    this.#originals.set(itemHash, original);
    const newest = this.#components.ledger.replacementOf(original)?.itemHash ?? itemHash;
    const from = this.serving(original);
    if (newest === this.#newest.get(original)) return;
    this.#newest.set(original, newest);
    if (this.#components.isServing(from)) this.#held.set(original, from);
    this.onReplaced({ original, from, to: newest });
  }

  #forget(itemHash: ItemHash): void {
    const original = this.#originals.get(itemHash) ?? itemHash;
    this.#originals.delete(itemHash);
    if (this.#held.get(original) === itemHash) this.#held.delete(original);
    if (this.#newest.get(original) !== itemHash) return;
    // Its machines are ended by who ends all those of a forgotten program; the version before serves again.
    const newest = this.#components.ledger.replacementOf(original)?.itemHash;
    if (newest === undefined) this.#newest.delete(original);
    else this.#newest.set(original, newest);
  }
}
