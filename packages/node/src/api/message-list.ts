import type { FastifyInstance, FastifyReply } from 'fastify';
import * as z from 'zod';
import type { Page, Stretch } from '../ledger/query/index.ts';
import type { ApiComponents } from './components.ts';
import { isoTime } from './iso-time.ts';
import { sendRows } from './list-answer.ts';
import { readCursor, writeCursor } from './list-cursor.ts';
import { type ContentFormat, messageRow } from './list-rows.ts';
import { contentFields, messageFilterFields, selectionOf, timeFields, timesOf } from './message-filter.ts';
import { pageMembers, pageSchema } from './paging.ts';
import { booleanParam, choiceParam, intParam, malformedParam, readParams } from './query-params.ts';

const TAG = 'messages';
/** Rows of a page; what asks for more, or for all (0), gets these. */
const MAX_PAGE_ROWS = 10_000;
/** The same by cursor, as in the network. */
const MAX_STRETCH_ROWS = 200;
/** Statuses that are in several lists are paged through one by one: so many at most. */
const MAX_MERGED_ROWS = 10_000;
const MAX_NUMBER = 1_000_000_000;

/** The parameters of any list: by page, or by cursor where one is given, be it empty. */
export const listFields = ({ defaultSize }: { defaultSize: number }) => ({
  pagination: intParam({ min: 0, max: MAX_NUMBER }).default(defaultSize),
  page: intParam({ min: 1, max: MAX_NUMBER }).default(1),
  cursor: z.string().optional(),
});

/** The number of a page where it is part of the path. */
export const pageParams = z.object({ page: intParam({ min: 1, max: MAX_NUMBER }) });

/** What follows the rows, in either form. */
export const listMembers = { ...pageSchema, next_cursor: z.string().nullable() };

/** Which rows are asked for. @throws VmletError `API_QUERY_MALFORMED` */
export function wantedRows({
  pagination,
  page,
  cursor,
}: {
  pagination: number;
  page: number;
  cursor?: string | undefined;
}) {
  if (cursor === undefined) {
    const limit = Math.min(pagination === 0 ? MAX_PAGE_ROWS : pagination, MAX_PAGE_ROWS);
    return { limit, page, offset: (page - 1) * limit };
  }
  if (pagination === 0) throw malformedParam('pagination', { found: '0', wanted: 'at least 1 with a cursor' });
  return { limit: Math.min(pagination, MAX_STRETCH_ROWS), key: readCursor(cursor) };
}

/** Sends rows with what the network says of their page, or with the next cursor. */
export function sendList<T>(
  reply: FastifyReply,
  {
    name,
    row,
    wanted,
    found,
  }: {
    name: string;
    row: (one: T) => string;
    wanted: ReturnType<typeof wantedRows>;
    found: Page<T> | Stretch<T>;
  },
): FastifyReply {
  const rows = Iterator.from(found.rows).map(row);
  if ('total' in found) {
    const paging = { pagination: wanted.limit, page: wanted.page ?? 1 };
    return sendRows(reply, { name, rows, members: pageMembers(paging, { total: found.total, item: name }) });
  }
  const next = found.next === undefined ? null : writeCursor(found.next);
  return sendRows(reply, { name, rows, members: { pagination_per_page: wanted.limit, next_cursor: next } });
}

const listQuery = z.object({
  ...messageFilterFields,
  ...timeFields,
  ...contentFields,
  ...listFields({ defaultSize: 20 }),
});
const listResponse = z.object({
  messages: z.array(z.looseObject({ item_hash: z.string(), time: z.number(), size: z.int() })),
  ...z.object(listMembers).partial().shape,
});

const HASH_STATUSES = ['pending', 'processed', 'rejected', 'forgotten', 'removing', 'removed'] as const;
const hashesQuery = z.object({
  status: choiceParam(HASH_STATUSES).optional(),
  hash_only: booleanParam().default(true),
  ...timeFields,
  ...listFields({ defaultSize: 20 }),
});
const hashesResponse = z.object({
  hashes: z.array(
    z.union([z.string(), z.object({ item_hash: z.string(), status: z.string(), reception_time: z.string() })]),
  ),
  ...pageSchema,
});

/** The newest messages in force that match a filter, as item_hashes. */
export function recentIn(lists: ApiComponents['lists']): ApiComponents['recent'] {
  return (wanted, { limit }) => {
    const { rows } = lists.messages.after(selectionOf(wanted), { key: undefined, limit });
    return Array.from(rows, ({ itemHash }) => itemHash);
  };
}

/** GET of lists of messages, and of the hashes of all that came. */
export function registerMessageList(app: FastifyInstance, { lists }: Pick<ApiComponents, 'lists'>): void {
  const list = (query: unknown, reply: FastifyReply, { page }: { page?: number } = {}) => {
    const params = readParams(listQuery, query, { keepEmpty: ['cursor'] });
    const selection = selectionOf(params);
    const wanted = wantedRows(page === undefined ? params : { pagination: params.pagination, page });
    const isMerged =
      selection.statuses.some((status) => status === 'pending' || status === 'rejected') &&
      selection.statuses.length > 1;
    if (isMerged && (wanted.offset ?? 0) + wanted.limit > MAX_MERGED_ROWS) {
      throw malformedParam('page', {
        found: String(wanted.page),
        wanted: `the first ${MAX_MERGED_ROWS} rows, or a cursor`,
      });
    }
    const format: ContentFormat = params.contentFormat ?? (params.excludeContent ? 'none' : 'full');
    const found =
      wanted.offset === undefined ? lists.messages.after(selection, wanted) : lists.messages.page(selection, wanted);
    return sendList(reply, { name: 'messages', row: (one) => messageRow(one, { format }), wanted, found });
  };
  const doc = {
    summary: 'Messages that match filters, the newest first',
    tag: TAG,
    query: listQuery,
    response: listResponse,
  };
  app.get('/api/v0/messages.json', { config: { doc } }, async ({ query }, reply) => list(query, reply));
  app.get(
    '/api/v0/messages/page/:page.json',
    { config: { doc: { ...doc, params: pageParams } } },
    async ({ params, query }, reply) => list(query, reply, readParams(pageParams, params)),
  );

  const hashes = {
    summary: 'Hashes of all messages that came',
    tag: TAG,
    query: hashesQuery,
    response: hashesResponse,
  };
  app.get('/api/v0/messages/hashes', { config: { doc: hashes } }, async ({ query }, reply) => {
    const { status, hash_only: hashOnly, ...params } = readParams(hashesQuery, query);
    const wanted = wantedRows({ ...params, cursor: undefined });
    const selection = { statuses: status === undefined ? HASH_STATUSES : [status], ...timesOf(params) };
    const found = lists.received.page(selection, { offset: wanted.offset ?? 0, limit: wanted.limit });
    const row = ({ itemHash, status: now, receivedMs }: { itemHash: string; status: string; receivedMs: number }) =>
      JSON.stringify(
        hashOnly ? itemHash : { item_hash: itemHash, status: now, reception_time: isoTime(receivedMs / 1000) },
      );
    return sendList(reply, { name: 'hashes', row, wanted, found });
  });
}
