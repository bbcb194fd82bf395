import type { ItemHash } from '@vmlet/messages';
import { itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import type { Ledger, LedgerEvent } from '../ledger/index.ts';

/** Key of the operator's AGGREGATE: an item_hash that is not here, and that of the STORE that stands in for it. */
const ALIASES_KEY = 'runtime-aliases';

export interface AliasComponents {
  ledger: Pick<Ledger, 'aggregate' | 'store' | 'subscribe'>;
  /** Whose aliases count here, and nobody else's. */
  operator: string;
  /** Told of each hash that has another alias than before, or none; `by` is the message that made it so. */
  onChange: (ref: string, options: { by: ItemHash }) => void;
}

/** An alias that the operator has signed. */
export interface RuntimeAlias {
  /** The hash that programs name. */
  readonly hash: ItemHash;
  /** The STORE that they run on. */
  readonly target: ItemHash;
  /** Whether it counts: the target is in force here, and the hash itself is not. */
  readonly isActive: boolean;
}

/**
 * What stands in for runtimes that are not here, by the operator's word. A STORE that is here is never passed over, and
 * an alias leads to a STORE, never to another alias.
 */
export class RuntimeAliases implements Disposable {
  readonly #components: AliasComponents;
  readonly #unsubscribe: () => void;
  #known: ReadonlyMap<string, ItemHash>;

  constructor(components: AliasComponents) {
    this.#components = components;
    this.#known = this.#read();
    this.#unsubscribe = components.ledger.subscribe((event) => this.#follow(event));
  }

  /** The STORE that stands in for a ref; undefined if that is here itself, or if nothing does. */
  of(ref: string): ItemHash | undefined {
    const target = this.#known.get(ref);
    if (target === undefined) return undefined;
    const { ledger } = this.#components;
    return ledger.store(ref) === undefined && ledger.store(target) !== undefined ? target : undefined;
  }

  /** All that the operator has signed, whether or not it counts now. */
  all(): RuntimeAlias[] {
    return [...this.#known].map(([hash, target]) => ({
      hash: itemHashSchema.parse(hash),
      target,
      isActive: this.of(hash) !== undefined,
    }));
  }

  /** The hashes that a STORE stands in for. */
  leadingTo(itemHash: string): ItemHash[] {
    return this.all().flatMap(({ hash, target, isActive }) => (isActive && target === itemHash ? [hash] : []));
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #follow(event: LedgerEvent): void {
    if (event.type !== 'processed' && event.type !== 'forgotten') return;
    const { message, itemHash } = event;
    const { operator, onChange } = this.#components;
    if (message.type === 'STORE') {
      // The hash itself, or its target, has come or gone.
      const concerned = [...this.#known].filter(([hash, target]) => hash === itemHash || target === itemHash);
      for (const [hash] of concerned) onChange(hash, { by: itemHash });
      return;
    }
    const isMine = message.type === 'AGGREGATE' && sameAddress(message.content.address, operator);
    // A FORGET names an AGGREGATE, or all of a key.
    if (!isMine && message.type !== 'FORGET') return;
    const before = this.#known;
    this.#known = this.#read();
    for (const hash of new Set([...before.keys(), ...this.#known.keys()])) {
      if (before.get(hash) !== this.#known.get(hash)) onChange(hash, { by: itemHash });
    }
  }

  #read(): ReadonlyMap<string, ItemHash> {
    const { ledger, operator } = this.#components;
    const [record] = ledger.aggregate(operator, [ALIASES_KEY]);
    const pairs = Object.entries(record?.content ?? {}).flatMap(([hash, value]): [string, ItemHash][] => {
      const target = itemHashSchema.safeParse(value).data;
      const isHash = itemHashSchema.safeParse(hash).success;
      return isHash && target !== undefined && target !== hash ? [[hash, target]] : [];
    });
    return new Map(pairs);
  }
}
