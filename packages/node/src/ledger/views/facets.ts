import { addressKey } from '../address-key.ts';
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
  readonly sortBy?: string;
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

/** Reads them from the messages themselves. */
export function openFacets(database: LedgerDatabase): Facets {
  const statements = prepare(database);
  const textsOf = (rows: { text: string }[]) => rows.map(({ text }) => text);
  const statsPage: Facets['statsPage'] = (query) => {
    const { contains, sortBy = 'total', isDescending = true, limit = ALL, offset = 0 } = query;
    const wanted = { contains: contains?.toLowerCase() ?? null, type: sortBy.toUpperCase(), limit, offset };
    const rows = (isDescending ? statements.statsDescending : statements.statsAscending).all(wanted).map(statsOfRow);
    return { rows, total: statements.countAddresses.get({ contains: wanted.contains })?.total ?? 0 };
  };
  return {
    channels: () => textsOf(statements.channels.all()),
    channelsOf: (address) => textsOf(statements.channelsOf.all(addressKey(address))),
    postTypesOf: (address) => textsOf(statements.postTypesOf.all(addressKey(address))),
    statsOf: (addresses) =>
      addresses.flatMap((address) => {
        const row = statements.statsOf.get(addressKey(address));
        return row === undefined ? [] : [{ ...statsOfRow(row), address }];
      }),
    statsPage,
    totals: () => statements.totals.get() ?? { messages: 0, pending: 0, files: 0 },
  };
}

interface StatsRow {
  address: string;
  counts: string;
}

function statsOfRow({ address, counts }: StatsRow): AddressStats {
  return { address, counts: JSON.parse(counts) as AddressStats['counts'] };
}

/** As `addressKey` does it. */
const KEY = "CASE WHEN address LIKE '0x%' THEN lower(address) ELSE address END";
const STATS = `SELECT max(address) AS address, json_group_object(type, number) AS counts, sum(number) AS total,
    sum(number) FILTER (WHERE type = @type) AS sorted
  FROM (SELECT max(address) AS address, ${KEY} AS key, type, count(*) AS number
    FROM messages WHERE status IN ('processed', 'removing') AND (@contains IS NULL OR instr(lower(address), @contains))
    GROUP BY key, type)
  GROUP BY key`;

function prepare(database: LedgerDatabase) {
  const stats = (order: string) =>
    database.prepare<[object], StatsRow>(`${STATS}
      ORDER BY CASE WHEN @type = 'TOTAL' THEN total ELSE coalesce(sorted, 0) END ${order}, key LIMIT @limit OFFSET @offset`);
  return {
    channels: database.prepare<[], { text: string }>(`
      SELECT DISTINCT channel AS text FROM messages
      WHERE status IN ('processed', 'removing') AND channel IS NOT NULL ORDER BY channel`),
    channelsOf: database.prepare<[string], { text: string }>(`
      SELECT DISTINCT channel AS text FROM messages
      WHERE status IN ('processed', 'removing') AND channel IS NOT NULL AND ${KEY} = ? ORDER BY channel`),
    postTypesOf: database.prepare<[string], { text: string }>(
      'SELECT DISTINCT post_type AS text FROM posts WHERE address = ? ORDER BY post_type',
    ),
    statsOf: database.prepare<[string], StatsRow>(`
      SELECT max(address) AS address, json_group_object(type, number) AS counts
      FROM (SELECT address, ${KEY} AS key, type, count(*) AS number FROM messages
        WHERE status IN ('processed', 'removing') AND ${KEY} = ? GROUP BY type)
      GROUP BY key`),
    statsAscending: stats('ASC'),
    statsDescending: stats('DESC'),
    countAddresses: database.prepare<[object], { total: number }>(`
      SELECT count(DISTINCT ${KEY}) AS total FROM messages
      WHERE status IN ('processed', 'removing') AND (@contains IS NULL OR instr(lower(address), @contains))`),
    totals: database.prepare<[], { messages: number; pending: number; files: number }>(`
      SELECT (SELECT count(*) FROM messages WHERE status IN ('processed', 'removing')) AS messages,
        (SELECT count(*) FROM messages WHERE status = 'pending') AS pending,
        (SELECT count(DISTINCT file_hash) FROM stores) AS files`),
  };
}
