import { addressKey } from '../address-key.ts';
import type { LedgerDatabase } from '../sqlite/ledger-database.ts';

/** An aggregate of any address. */
export interface AggregateRow {
  /** As its owner wrote it last. */
  readonly address: string;
  readonly key: string;
  readonly content: Readonly<Record<string, unknown>>;
  /** `content.time` of the first and of the last AGGREGATE, in seconds. */
  readonly created: number;
  readonly lastUpdated: number;
}

/** Which aggregates, and in what order. */
export interface AggregateQuery {
  readonly keys?: readonly string[] | undefined;
  readonly addresses?: readonly string[] | undefined;
  readonly sortBy: 'created' | 'last_updated';
  readonly isDescending: boolean;
  readonly limit: number;
  readonly offset: number;
}

/** One page of them, and how many there are in all. */
export interface AggregatePage {
  readonly rows: readonly AggregateRow[];
  readonly total: number;
}

/** The messages that an aggregate began with and was changed by last. */
export interface AggregateInfo {
  readonly firstItemHash: string;
  readonly lastItemHash: string;
}

/** Permission that an owner gave, as it is written in its aggregate. */
export interface Grant {
  readonly owner: string;
  /** Members are the owner's own; nothing of them was checked. */
  readonly entry: Readonly<Record<string, unknown>>;
}

/** One measurement of a node, as whoever measured it wrote it down. */
export interface Measurement {
  readonly itemHash: string;
  /** Members are the writer's own; nothing of them was checked but these two. */
  readonly entry: Readonly<Record<string, unknown>> & { readonly measured_at: number };
}

/** Which measurements: of one node of a kind, in a time that both ends belong to, in seconds. */
export interface MeasurementQuery {
  readonly kind: 'ccn' | 'crn';
  readonly nodeId: string;
  readonly from: number;
  readonly to: number;
  /** Whose measurements count. */
  readonly sources: readonly string[];
}

/** Reads of what messages in force come to. Each sees every change whose `accept` has resolved. */
export class LedgerViews {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: LedgerDatabase) {
    this.#statements = prepare(database);
  }

  /** Aggregates of all addresses, page by page. */
  aggregates(query: AggregateQuery): AggregatePage {
    const wanted = {
      keys: listOf(query.keys),
      addresses: listOf(query.addresses?.map(addressKey)),
      limit: query.limit,
      offset: query.offset,
    };
    const page = this.#statements.aggregates[query.sortBy][query.isDescending ? 'descending' : 'ascending'];
    const rows = page.all(wanted).map(({ owner, key, content, created, last_updated }) => ({
      ...{ address: owner, key, created, lastUpdated: last_updated },
      content: JSON.parse(content) as Record<string, unknown>,
    }));
    return { rows, total: this.#statements.countAggregates.get(wanted)?.total ?? 0 };
  }

  /** Which messages made an aggregate; undefined if there is none. */
  aggregateInfo(address: string, key: string): AggregateInfo | undefined {
    const named = { address: addressKey(address), key };
    const [first, last] = [this.#statements.firstElement.get(named), this.#statements.lastElement.get(named)];
    return first && last && { firstItemHash: first.item_hash, lastItemHash: last.item_hash };
  }

  /** What an address is permitted to do in the name of others, in the order of their addresses. */
  grantsTo(address: string): Grant[] {
    return this.#statements.grantsTo
      .all({ address: addressKey(address) })
      .map(({ owner, entry }) => ({ owner, entry: JSON.parse(entry) as Grant['entry'] }));
  }

  /** What was measured of a node, the oldest first. */
  measurements({ kind, nodeId, from, to, sources }: MeasurementQuery): Measurement[] {
    const wanted = { path: `$.content.metrics.${kind}`, nodeId, from, to, sources: listOf(sources.map(addressKey)) };
    return this.#statements.measurements
      .all(wanted)
      .map(({ item_hash, entry }) => ({ itemHash: item_hash, entry: JSON.parse(entry) as Measurement['entry'] }));
  }
}

/** A list as SQLite reads it; null for all there are. */
function listOf(values: readonly string[] | undefined): string | null {
  return values === undefined ? null : JSON.stringify(values);
}

interface AggregateSqlRow {
  owner: string;
  key: string;
  content: string;
  created: number;
  last_updated: number;
}

interface AggregateParameters {
  keys: string | null;
  addresses: string | null;
  limit: number;
  offset: number;
}

const MATCHES = `(@keys IS NULL OR key IN (SELECT value FROM json_each(@keys)))
  AND (@addresses IS NULL OR address IN (SELECT value FROM json_each(@addresses)))`;

function prepare(database: LedgerDatabase) {
  const page = (column: string, order: string) =>
    database.prepare<[AggregateParameters], AggregateSqlRow>(`
      SELECT owner, key, content, created, last_updated FROM aggregates WHERE ${MATCHES}
      ORDER BY ${column} ${order}, address, key LIMIT @limit OFFSET @offset`);
  const element = (order: string) =>
    database.prepare<[{ address: string; key: string }], { item_hash: string }>(`
      SELECT item_hash FROM aggregate_elements WHERE address = @address AND key = @key
      ORDER BY time ${order}, item_hash ${order} LIMIT 1`);
  return {
    aggregates: {
      created: { ascending: page('created', 'ASC'), descending: page('created', 'DESC') },
      last_updated: { ascending: page('last_updated', 'ASC'), descending: page('last_updated', 'DESC') },
    },
    countAggregates: database.prepare<[AggregateParameters], { total: number }>(
      `SELECT count(*) AS total FROM aggregate_keys WHERE ${MATCHES}`,
    ),
    firstElement: element('ASC'),
    lastElement: element('DESC'),
    // Whoever wrote the list may have put anything into it: only objects are looked into.
    grantsTo: database.prepare<[{ address: string }], { owner: string; entry: string }>(`
      SELECT keys.owner, grants.value AS entry
      FROM aggregate_members AS members INDEXED BY aggregate_members_grants
        JOIN aggregate_keys AS keys USING (address, key)
        JOIN json_each(members.value) AS grants
      WHERE members.key = 'security' AND members.name = 'authorizations'
        AND CASE WHEN grants.type = 'object' THEN CASE
          WHEN grants.value ->> '$.address' LIKE '0x%' THEN lower(grants.value ->> '$.address')
          ELSE grants.value ->> '$.address' END END = @address
      ORDER BY keys.address, grants.key`),
    // Measurements are told within a day of being made; the index finds the posts of those days.
    measurements: database.prepare<[object], { item_hash: string; entry: string }>(`
      SELECT posts.item_hash, entries.value AS entry
      FROM posts
        JOIN messages USING (item_hash)
        JOIN json_each(coalesce(messages.item_content, messages.content), @path) AS entries
      WHERE posts.post_type = 'aleph-network-metrics' AND posts.time BETWEEN @from - 86400 AND @to + 86400
        AND posts.address IN (SELECT value FROM json_each(@sources))
        AND CASE WHEN entries.type = 'object' THEN
          entries.value ->> '$.node_id' = @nodeId AND json_type(entries.value, '$.measured_at') IN ('integer', 'real')
          AND entries.value ->> '$.measured_at' BETWEEN @from AND @to END
      ORDER BY entries.value ->> '$.measured_at', posts.item_hash`),
  };
}
