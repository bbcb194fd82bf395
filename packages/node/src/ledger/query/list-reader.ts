import type { LedgerDatabase } from '../sqlite/ledger-database.ts';
import { type Bits, combineBits, countBits, hasBit, slotsOf } from './bits.ts';
import { type Condition, Conditions, type ListFilter } from './list-filter.ts';
import { compareKeys, type ListKey } from './list-key.ts';
import type { List } from './places.ts';

/** What is read of a list. */
export interface ListQuery extends ListFilter {
  readonly list: List;
  /** Only what comes after this key in the list's order. */
  readonly after?: ListKey | undefined;
  /** Only what comes before this key in the list's order. */
  readonly before?: ListKey | undefined;
  /** The list from its end. */
  readonly isReversed?: boolean;
}

/** A message that is in the answer, by its place in the table. */
export interface Found extends ListKey {
  readonly position: number;
}

/** From here on a whole block is read at once. */
const READ_BLOCK_FROM = 200;

interface Walk extends ListQuery {
  readonly conditions: Condition[];
  /** In the order in which they are looked at. */
  readonly blocks: number[];
  /** The blocks of `after` and `before`, of which not all may count. */
  readonly partial: Set<number | undefined>;
}

/**
 * Reads lists. What a filter has in a block is known from the bits of its values, so that the cost is bounded by the
 * number of blocks, whatever is combined and however deep in the list it is.
 */
export class ListReader {
  readonly #statements: ReturnType<typeof prepare>;
  readonly #conditions: Conditions;

  constructor(database: LedgerDatabase) {
    this.#statements = prepare(database);
    this.#conditions = new Conditions(database);
  }

  /** What matches, in order, read as it is asked for. */
  *entries(query: ListQuery): Generator<Found> {
    const walk = this.#walk(query);
    for (const block of walk.blocks) {
      const bits = matching(walk.conditions, block);
      if (bits !== undefined) yield* this.#read(block, bits, walk);
    }
  }

  /** One page, and how many there are in all: a counter's value, or a sum over the bits of the blocks. */
  page(query: ListQuery, { offset, limit }: { offset: number; limit: number }): { found: Found[]; total: number } {
    const walk = this.#walk(query);
    const known = counted(walk);
    const found: Found[] = [];
    let total = 0;
    for (const block of walk.blocks) {
      if (known !== undefined && total >= offset + limit) break;
      const bits = matching(walk.conditions, block);
      if (bits === undefined) continue;
      const count = walk.partial.has(block) ? this.#read(block, bits, walk).length : countBits(bits);
      if (total + count > offset && total < offset + limit) {
        found.push(...this.#read(block, bits, walk).slice(Math.max(0, offset - total), offset + limit - total));
      }
      total += count;
    }
    return { found, total: known ?? total };
  }

  #walk(query: ListQuery): Walk {
    const conditions = this.#conditions.of(query.list, query);
    const { list, after, before, isReversed = false } = query;
    const [smallest] = conditions;
    const blocks = smallest?.atMost === 0 ? [] : this.#statements.blocks.all(list);
    const [first, last] = [after && this.#blockOf(list, after), before && this.#blockOf(list, before)];
    const from = first === undefined ? 0 : blocks.indexOf(first);
    const to = last === undefined ? blocks.length : blocks.indexOf(last) + 1;
    const range = blocks.slice(Math.max(0, from), to);
    const few = smallest !== undefined && smallest.atMost < range.length ? smallest.blocks() : undefined;
    const wanted = few === undefined ? range : range.filter((block) => few.has(block));
    return {
      ...query,
      conditions,
      blocks: isReversed ? wanted.toReversed() : wanted,
      partial: new Set([first, last]),
    };
  }

  #blockOf(list: List, { sort, hash }: ListKey): number | undefined {
    return this.#statements.blockInTie.get(list, sort, hash) ?? this.#statements.blockBefore.get(list, sort);
  }

  #read(block: number, bits: Bits, { after, before, isReversed }: Walk): Found[] {
    const rows =
      countBits(bits) < READ_BLOCK_FROM
        ? slotsOf(bits).flatMap((slot) => this.#statements.entry.get(block, slot) ?? [])
        : this.#statements.entries.all(block).filter(({ slot }) => hasBit(bits, slot));
    const found = rows.map(({ position, sort }) => new FoundEntry(position, sort, this.#statements.hash));
    const inRange = found.filter(
      (key) =>
        (after === undefined || compareKeys(after, key) < 0) && (before === undefined || compareKeys(key, before) < 0),
    );
    inRange.sort(compareKeys);
    return isReversed ? inRange.reverse() : inRange;
  }
}

/** Looks its hash up only if a tie makes it count. */
class FoundEntry implements Found {
  readonly position: number;
  readonly sort: number;
  readonly #statement: ReturnType<typeof prepare>['hash'];
  #hash: string | undefined;

  constructor(position: number, sort: number, statement: ReturnType<typeof prepare>['hash']) {
    this.position = position;
    this.sort = sort;
    this.#statement = statement;
  }

  get hash(): string {
    this.#hash ??= this.#statement.get(this.position) ?? '';
    return this.#hash;
  }
}

/** What meets all conditions in a block. */
function matching(conditions: readonly Condition[], block: number): Bits | undefined {
  let bits: Bits | undefined;
  for (const condition of conditions) {
    const found = condition.bits(block);
    if (found === undefined) return undefined;
    if (bits === undefined) bits = found;
    else combineBits(bits, found, 'and');
    if (bits.every((word) => word === 0)) return undefined;
  }
  return bits;
}

/** How many there are, where counters say it: one condition whose values a message has one of, and no bounds. */
function counted({ conditions, anyOf, after, before }: Walk): number | undefined {
  const isBounded = after !== undefined || before !== undefined;
  const mayOverlap = anyOf.some(({ kind, values }) => kind === 'tag' && values.length > 1);
  return conditions.length === 1 && !isBounded && !mayOverlap ? conditions[0]?.atMost : undefined;
}

function prepare(database: LedgerDatabase) {
  return {
    blocks: database
      .prepare<[number], number>('SELECT id FROM list_blocks WHERE list = ? ORDER BY sort DESC, hash')
      .pluck(),
    blockInTie: database
      .prepare<[number, number, string], number>(
        'SELECT id FROM list_blocks WHERE list = ? AND sort = ? AND hash <= ? ORDER BY hash DESC LIMIT 1',
      )
      .pluck(),
    blockBefore: database
      .prepare<[number, number], number>(
        'SELECT id FROM list_blocks WHERE list = ? AND sort > ? ORDER BY sort, hash DESC LIMIT 1',
      )
      .pluck(),
    entry: database.prepare<[number, number], { slot: number; position: number; sort: number }>(
      'SELECT slot, position, sort FROM list_entries WHERE block = ? AND slot = ?',
    ),
    entries: database.prepare<[number], { slot: number; position: number; sort: number }>(
      'SELECT slot, position, sort FROM list_entries WHERE block = ?',
    ),
    hash: database.prepare<[number], string>('SELECT item_hash FROM messages WHERE position = ?').pluck(),
  };
}
