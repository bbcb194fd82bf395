import { transact } from '../../store/index.ts';
import type { LedgerDatabase } from '../sqlite/ledger-database.ts';
import type { MessageStatus } from '../state.ts';
import { createIndexWriter } from './index-writer.ts';
import type { AnyOf } from './list-filter.ts';
import { compareKeys, LAST_HASH, type ListKey } from './list-key.ts';
import { type Found, type ListQuery, ListReader } from './list-reader.ts';
import { LIST_OF, List } from './places.ts';
import { type ListedMessage, type ListedPost, type ReceivedMessage, RowReader } from './row-reader.ts';

/** What is asked of a list. All that is given has to be met. */
export interface Selection {
  /** At least one. The list of posts has those in force, whatever is given. */
  readonly statuses: readonly MessageStatus[];
  readonly anyOf?: readonly AnyOf[];
  /** Of messages, and of originals in the list of posts. */
  readonly hashes?: readonly string[] | undefined;
  /** Seconds since 1970: from `start` on, and before `end`. */
  readonly start?: number | undefined;
  readonly end?: number | undefined;
  /** The oldest first. The order is the exact reverse of the other one. */
  readonly isReversed?: boolean;
}

/** Some of a list; rows are read as they are asked for, without those that went away in the meantime. */
export interface Page<T> {
  readonly rows: Iterable<T>;
  /** In all. */
  readonly total: number;
}

/** Some of a list, from a key on. */
export interface Stretch<T> {
  readonly rows: Iterable<T>;
  /** What the next stretch starts after; undefined if there is no more. */
  readonly next: ListKey | undefined;
}

/** One list of the ledger. It sees every change that is committed. */
export interface MessageList<T> {
  page(selection: Selection, options: { offset: number; limit: number }): Page<T>;
  after(selection: Selection, options: { key: ListKey | undefined; limit: number }): Stretch<T>;
}

/** The lists of a ledger: of messages by time, of posts by their last change, of hashes by when they came. */
export interface Lists {
  readonly messages: MessageList<ListedMessage>;
  readonly posts: MessageList<ListedPost>;
  readonly received: MessageList<ReceivedMessage>;
}

/** Opens the lists of a migrated database, and brings them up to date. */
export function openLists(database: LedgerDatabase): Lists {
  const writer = createIndexWriter(database);
  const rows = new RowReader(database);
  const reader = new ListReader(database);
  const isBehind = database.prepare<[], number>('SELECT 1 FROM list_queue LIMIT 1').pluck();
  const renew = () => {
    if (isBehind.get() !== undefined) transact(database, () => writer.renew());
  };
  renew();
  const listOf = <T>(queriesOf: (selection: Selection) => ListQuery[], read: (found: Found) => T | undefined) => {
    const queries = (selection: Selection) => {
      renew();
      return queriesOf({ ...selection });
    };
    return new SqliteList<T>(reader, { queriesOf: queries, read });
  };
  const positionsOf = (hashes: readonly string[] | undefined) => hashes && rows.positionsOf(hashes);
  return {
    messages: listOf((selection) => messageQueries(selection, positionsOf(selection.hashes)), rows.message),
    posts: listOf((selection) => [queryOf(List.posts, selection, positionsOf(selection.hashes))], rows.post),
    received: listOf((selection) => [queryOf(List.received, selection, positionsOf(selection.hashes))], rows.received),
  };
}

class SqliteList<T> implements MessageList<T> {
  readonly #reader: ListReader;
  readonly #queriesOf: (selection: Selection) => ListQuery[];
  readonly #read: (found: Found) => T | undefined;

  constructor(
    reader: ListReader,
    { queriesOf, read }: { queriesOf: (selection: Selection) => ListQuery[]; read: (found: Found) => T | undefined },
  ) {
    this.#reader = reader;
    this.#queriesOf = queriesOf;
    this.#read = read;
  }

  page(selection: Selection, { offset, limit }: { offset: number; limit: number }): Page<T> {
    const queries = this.#queriesOf(selection);
    const [only] = queries;
    if (only !== undefined && queries.length === 1) {
      const { found, total } = this.#reader.page(only, { offset, limit });
      return { rows: this.#rows(found), total };
    }
    const totals = queries.map((query) => this.#reader.page(query, { offset: 0, limit: 0 }).total);
    const found = taken(this.#merged(queries), offset + limit).slice(offset);
    return { rows: this.#rows(found), total: totals.reduce((sum, total) => sum + total, 0) };
  }

  after(selection: Selection, { key, limit }: { key: ListKey | undefined; limit: number }): Stretch<T> {
    const queries = this.#queriesOf(selection).map((query) => startingAfter(query, key));
    const found = taken(this.#merged(queries), limit + 1);
    const last = found.length > limit ? found[limit - 1] : undefined;
    const next = last && { sort: last.sort, hash: last.hash };
    return { rows: this.#rows(found.slice(0, limit)), next };
  }

  /** Several lists as one. */
  *#merged(queries: readonly ListQuery[]): Generator<Found> {
    const direction = queries[0]?.isReversed ? -1 : 1;
    const heads: { source: Generator<Found>; value: Found }[] = [];
    const push = (source: Generator<Found>) => {
      const { value, done } = source.next();
      if (!done) heads.push({ source, value });
    };
    for (const query of queries) push(this.#reader.entries(query));
    while (heads.length > 0) {
      heads.sort((a, b) => direction * compareKeys(a.value, b.value));
      const first = heads.shift();
      if (first === undefined) return;
      yield first.value;
      push(first.source);
    }
  }

  *#rows(found: readonly Found[]): Generator<T> {
    for (const one of found) {
      const row = this.#read(one);
      if (row !== undefined) yield row;
    }
  }
}

/** One query for each list that has messages of the statuses. */
function messageQueries(selection: Selection, positions: number[] | undefined): ListQuery[] {
  const lists = new Set(selection.statuses.map((status) => LIST_OF[status]));
  return [...lists].map((list) => {
    const statuses = selection.statuses.filter((status) => LIST_OF[status] === list);
    return queryOf(list, { ...selection, statuses }, positions);
  });
}

function queryOf(list: List, selection: Selection, positions: number[] | undefined): ListQuery {
  const { statuses, anyOf = [], start, end, isReversed = false } = selection;
  // Where every status of a list is asked for, another condition narrows it down better.
  const isWhole = list === List.posts || new Set(statuses).size === (list === List.inForce ? 2 : 1);
  const isNarrowed = anyOf.length > 0 || positions !== undefined;
  const status: AnyOf = { kind: 'status', values: list === List.posts ? ['processed', 'removing'] : statuses };
  return {
    list,
    anyOf: isWhole && isNarrowed && list !== List.received ? anyOf : [...anyOf, status],
    positions,
    isReversed,
    after: end === undefined ? undefined : { sort: end, hash: LAST_HASH },
    before: start === undefined ? undefined : { sort: start, hash: LAST_HASH },
  };
}

function startingAfter(query: ListQuery, key: ListKey | undefined): ListQuery {
  if (key === undefined) return query;
  const { after = key, before = key, isReversed } = query;
  if (isReversed) return { ...query, before: compareKeys(before, key) < 0 ? before : key };
  return { ...query, after: compareKeys(after, key) > 0 ? after : key };
}

function taken<T>(source: Generator<T>, count: number): T[] {
  const items: T[] = [];
  for (const item of source) {
    if (items.push(item) >= count) break;
  }
  return items;
}
