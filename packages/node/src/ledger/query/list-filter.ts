import type { LedgerDatabase } from '../sqlite/ledger-database.ts';
import { type Bits, combineBits, readBits, setBit } from './bits.ts';
import { type FacetKind, facetValue, type List } from './places.ts';

/** Any of these values will do. */
export interface AnyOf {
  readonly kind: FacetKind;
  readonly values: readonly string[];
}

/** What a list is narrowed down to: all of the conditions, each with any of its values. */
export interface ListFilter {
  readonly anyOf: readonly AnyOf[];
  /** Only these messages, by their place in the table. */
  readonly positions?: readonly number[] | undefined;
}

/** One condition as the index has it. */
export interface Condition {
  /** How many messages of the list meet it, or more where a message may have several of the values. */
  readonly atMost: number;
  /** The blocks that have any, in no order. */
  blocks(): Set<number>;
  /** Which places of a block meet it; undefined if none. The caller may change what it gets. */
  bits(block: number): Bits | undefined;
}

interface FacetRow {
  id: number;
  count: number;
}

/** A value that is looked for in more blocks than this is read as a whole: that is one walk instead of many searches. */
const READ_ALL_FROM = 32;

/** Reads filters against the index. */
export class Conditions {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: LedgerDatabase) {
    this.#statements = prepare(database);
  }

  /** The conditions of a filter, the one that fewest messages meet first. */
  of(list: List, { anyOf, positions }: ListFilter): Condition[] {
    const conditions = anyOf.map((one) => this.#anyOf(list, one));
    if (positions !== undefined) conditions.push(this.#positions(list, positions));
    return conditions.sort((a, b) => a.atMost - b.atMost);
  }

  #slotsOf(facet: FacetRow): (block: number) => Buffer | undefined {
    let asked = 0;
    let all: Map<number, Buffer> | undefined;
    return (block) => {
      asked += 1;
      if (all === undefined && (asked > READ_ALL_FROM || facet.count <= READ_ALL_FROM)) {
        all = new Map(this.#statements.allSlots.all(facet.id));
      }
      return all === undefined ? this.#statements.slots.get(facet.id, block) : all.get(block);
    };
  }

  #anyOf(list: List, { kind, values }: AnyOf): Condition {
    const unique = new Set(values.map((value) => facetValue(kind, value)));
    const found = [...unique].flatMap((value) => this.#statements.facet.get(list, kind, value) ?? []);
    const sources = found.map((facet) => this.#slotsOf(facet));
    return {
      atMost: found.reduce((sum, { count }) => sum + count, 0),
      blocks: () => new Set(found.flatMap(({ id }) => this.#statements.blocksOf.all(id))),
      bits: (block) => {
        let bits: Bits | undefined;
        for (const source of sources) {
          const blob = source(block);
          if (blob === undefined) continue;
          if (bits === undefined) bits = readBits(blob);
          else combineBits(bits, readBits(blob), 'or');
        }
        return bits;
      },
    };
  }

  #positions(list: List, positions: readonly number[]): Condition {
    const places = positions.flatMap((position) => this.#statements.place.get(position, list) ?? []);
    return {
      atMost: places.length,
      blocks: () => new Set(places.map(({ block }) => block)),
      bits: (wanted) => {
        const bits = readBits(undefined);
        for (const { block, slot } of places) if (block === wanted) setBit(bits, slot);
        return bits;
      },
    };
  }
}

function prepare(database: LedgerDatabase) {
  return {
    facet: database.prepare<[number, string, string], FacetRow>(
      'SELECT id, count FROM list_facets WHERE list = ? AND kind = ? AND value = ?',
    ),
    blocksOf: database.prepare<[number], number>('SELECT block FROM list_bits WHERE facet = ?').pluck(),
    slots: database
      .prepare<[number, number], Buffer>('SELECT slots FROM list_bits WHERE facet = ? AND block = ?')
      .pluck(),
    allSlots: database.prepare<[number], [number, Buffer]>('SELECT block, slots FROM list_bits WHERE facet = ?').raw(),
    place: database.prepare<[number, number], { block: number; slot: number }>(
      'SELECT block, slot FROM list_entries WHERE position = ? AND list = ?',
    ),
  };
}
