import { addressKey } from '../address-key.ts';
import { List } from '../query/places.ts';
import type { LedgerDatabase } from '../sqlite/ledger-database.ts';

/** How many messages in force an address has, by type. */
export interface AddressStats {
  readonly address: string;
  readonly counts: Readonly<Record<string, number>>;
}

/** Which addresses, and in what order. What is left out is all, by the number of their messages. */
export interface StatsQuery {
  /** A part of the address, in any letter case. */
  readonly contains?: string | undefined;
  readonly sortBy?: 'total' | 'post' | 'aggregate' | 'store' | 'program' | 'instance' | 'forget';
  readonly isDescending?: boolean;
  readonly limit?: number;
  readonly offset?: number;
}

/** Counts over the messages in force. */
export interface Facets {
  channels(): string[];
  channelsOf(address: string): string[];
  postTypesOf(address: string): string[];
  statsOf(addresses: readonly string[]): AddressStats[];
  statsPage(query: StatsQuery): { rows: AddressStats[]; total: number };
  totals(): { messages: number; pending: number; files: number };
}

/** As many as there can be addresses. */
const ALL = -1;
/** What addresses are counted by, in the order of the columns. */
const TYPES = ['POST', 'AGGREGATE', 'STORE', 'PROGRAM', 'INSTANCE', 'FORGET'] as const;

/** Reads them from counters: none of it takes longer for more messages. */
export function openFacets(database: LedgerDatabase): Facets {
  const statements = prepare(database);
  return {
    channels: () => statements.channels.all({ list: List.inForce }),
    channelsOf: (address) => statements.channelsOf.all(addressKey(address)),
    postTypesOf: (address) => statements.postTypesOf.all({ address: addressKey(address) }),
    statsOf: (addresses) =>
      addresses.flatMap((address) => {
        const row = statements.statsOf.get(addressKey(address));
        return row === undefined ? [] : [{ ...statsOfRow(row), address }];
      }),
    statsPage(query) {
      const { contains, sortBy = 'total', isDescending = true, limit = ALL, offset = 0 } = query;
      const wanted = { contains: contains?.toLowerCase() ?? null, limit, offset };
      const column = sortBy === 'total' ? 'total' : `${sortBy}_count`;
      const rows = pageOf(database, { column, isDescending }).all(wanted).map(statsOfRow);
      return { rows, total: statements.countAddresses.get({ contains: wanted.contains }) ?? 0 };
    },
    totals() {
      const count = (list: List) => statements.countMessages.get(list) ?? 0;
      return {
        messages: count(List.inForce),
        pending: count(List.pending),
        files: statements.countFiles.get() ?? 0,
      };
    },
  };
}

type StatsRow = { address: string } & Record<string, number>;

function statsOfRow(row: StatsRow): AddressStats {
  const counts = TYPES.map((type) => [type, row[`${type.toLowerCase()}_count`] ?? 0] as const);
  return { address: row.address, counts: Object.fromEntries(counts) };
}

const FOUND = '(@contains IS NULL OR instr(lower(key), @contains))';

/** @param order its column is one of ours, never a client's text */
function pageOf(database: LedgerDatabase, order: { column: string; isDescending: boolean }) {
  return database.prepare<[object], StatsRow>(`
    SELECT * FROM address_stats WHERE ${FOUND}
    ORDER BY ${order.column} ${order.isDescending ? 'DESC' : 'ASC'}, key LIMIT @limit OFFSET @offset`);
}

function prepare(database: LedgerDatabase) {
  return {
    channels: database
      .prepare<[object], string>(`
        SELECT value FROM list_facets WHERE list = @list AND kind = 'channel' AND count > 0 ORDER BY value`)
      .pluck(),
    channelsOf: database
      .prepare<[string], string>('SELECT channel FROM address_channels WHERE key = ? ORDER BY channel')
      .pluck(),
    // From each type on to the next one: an address may have a million posts of one type.
    postTypesOf: database
      .prepare<[object], string>(`
        WITH RECURSIVE types (type) AS (
          SELECT min(post_type) FROM posts WHERE address = @address
          UNION ALL
          SELECT (SELECT min(post_type) FROM posts WHERE address = @address AND post_type > type)
            FROM types WHERE type IS NOT NULL
        ) SELECT type FROM types WHERE type IS NOT NULL`)
      .pluck(),
    statsOf: database.prepare<[string], StatsRow>('SELECT * FROM address_stats WHERE key = ?'),
    countAddresses: database.prepare<[object], number>(`SELECT count(*) FROM address_stats WHERE ${FOUND}`).pluck(),
    countMessages: database.prepare<[List], number>('SELECT sum(count) FROM list_blocks WHERE list = ?').pluck(),
    countFiles: database.prepare<[], number>('SELECT count(DISTINCT file_hash) FROM stores').pluck(),
  };
}
