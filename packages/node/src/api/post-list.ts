import { itemHashSchema } from '@vmlet/messages/schema';
import type { FastifyInstance, FastifyReply } from 'fastify';
import * as z from 'zod';
import type { ListedPost } from '../ledger/query/index.ts';
import type { ApiComponents } from './components.ts';
import { postRowV0, postRowV1 } from './list-rows.ts';
import { selectionOf, timeFields } from './message-filter.ts';
import { listFields, listMembers, pageParams, sendList, wantedRows } from './message-list.ts';
import { choiceParam, listParam, readParams, textsParam } from './query-params.ts';

const TAG = 'posts';

const texts = () => textsParam().optional();
const postsQuery = z.object({
  types: texts(),
  refs: texts(),
  addresses: texts(),
  tags: texts(),
  hashes: listParam(itemHashSchema, { wanted: '64 lowercase hex digits or a CID' }).optional(),
  channels: texts(),
  sortBy: choiceParam(['time', 'tx-time']).default('time'),
  ...timeFields,
  ...listFields({ defaultSize: 20 }),
});
const postsResponse = z.object({
  posts: z.array(z.looseObject({ item_hash: z.string(), original_item_hash: z.string(), original_type: z.string() })),
  ...z.object(listMembers).partial().shape,
});

/** GET of posts: each original once, with the content of its newest amend. */
export function registerPostList(app: FastifyInstance, { lists }: Pick<ApiComponents, 'lists'>): void {
  for (const [version, row] of [
    ['v0', postRowV0],
    ['v1', postRowV1],
  ] as const) {
    const doc = {
      summary: `Posts that match filters, the last changed first (${version})`,
      tag: TAG,
      query: postsQuery,
      response: postsResponse,
    };
    app.get(`/api/${version}/posts.json`, { config: { doc } }, async ({ query }, reply) =>
      send({ lists, query, reply, row }),
    );
    app.get(
      `/api/${version}/posts/page/:page.json`,
      { config: { doc: { ...doc, params: pageParams } } },
      async ({ params, query }, reply) => send({ lists, query, reply, row, page: readParams(pageParams, params).page }),
    );
  }
}

function send({
  lists,
  query,
  reply,
  row,
  page,
}: Pick<ApiComponents, 'lists'> & {
  query: unknown;
  reply: FastifyReply;
  row: (post: ListedPost) => string;
  page?: number;
}): FastifyReply {
  const params = readParams(postsQuery, query, { keepEmpty: ['cursor'] });
  const { types, addresses, refs, tags, hashes, channels, startDate, endDate, sortOrder } = params;
  // A post's address is its owner's, whoever sent it.
  const conditions = { contentTypes: types, owners: addresses, refs, tags, hashes, channels };
  const selection = selectionOf({ ...conditions, startDate, endDate, sortOrder });
  const wanted = wantedRows(page === undefined ? params : { pagination: params.pagination, page });
  const found =
    wanted.offset === undefined ? lists.posts.after(selection, wanted) : lists.posts.page(selection, wanted);
  return sendList(reply, { name: 'posts', row, wanted, found });
}
