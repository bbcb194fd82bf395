import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import { addressParam } from './address-param.ts';
import type { ApiComponents } from './components.ts';
import { isoTime } from './iso-time.ts';
import { pageFields, pageMembers, pageOf, pageSchema, sortOrder } from './paging.ts';
import { booleanParam, choiceParam, intParam, malformedParam, readParams, textsParam } from './query-params.ts';

const MAX_KEYS = 1000;
const TAG = 'aggregates';

const oneParams = z.object({ address: addressParam });
const oneQuery = z.object({
  keys: textsParam().optional(),
  limit: intParam({ min: 1, max: MAX_KEYS }).default(MAX_KEYS),
  with_info: booleanParam().default(false),
  value_only: booleanParam().default(false),
});
const infoSchema = z.object({
  created: z.string(),
  last_updated: z.string(),
  original_item_hash: z.string(),
  last_update_item_hash: z.string(),
});
const contentSchema = z.record(z.string(), z.unknown());
const oneResponse = z.union([
  z.object({
    address: z.string(),
    data: z.record(z.string(), contentSchema),
    info: z.record(z.string(), infoSchema),
  }),
  contentSchema.meta({ description: 'With value_only: the content of the one key' }),
]);

const listQuery = z.object({
  keys: textsParam().optional(),
  addresses: textsParam().optional(),
  sortBy: choiceParam(['creation_time', 'last_modified']).default('last_modified'),
  sortOrder,
  ...pageFields({ defaultSize: 20, maxSize: 1000 }),
});
const listResponse = z.object({
  aggregates: z.array(
    z.object({
      address: z.string(),
      key: z.string(),
      content: contentSchema,
      created: z.string(),
      last_updated: z.string(),
    }),
  ),
  ...pageSchema,
});

/** GET of what the AGGREGATEs of addresses come to. */
export function registerAggregates(
  app: FastifyInstance,
  { ledger, views }: Pick<ApiComponents, 'ledger' | 'views'>,
): void {
  const doc = {
    summary: 'Aggregates of one address',
    tag: TAG,
    params: oneParams,
    query: oneQuery,
    response: oneResponse,
  };
  app.get('/api/v0/aggregates/:address.json', { config: { doc } }, async ({ params, query }) => {
    const { address } = readParams(oneParams, params);
    const { keys, limit, with_info: withInfo, value_only: valueOnly } = readParams(oneQuery, query);
    if (valueOnly && keys?.length !== 1) {
      throw malformedParam('keys', { found: keys?.join(), wanted: 'exactly one key with value_only' });
    }
    const found = ledger.aggregate(address, keys).slice(0, limit);
    const [first] = found;
    if (first === undefined) throw new VmletError('AGGREGATE_UNKNOWN', { operands: { address } });
    if (valueOnly) return first.content;
    const told = withInfo ? found : [];
    return {
      address,
      data: Object.fromEntries(found.map(({ key, content }) => [key, content])),
      info: Object.fromEntries(told.map((one) => [one.key, infoOf(one, views.aggregateInfo(address, one.key))])),
    };
  });

  const list = { summary: 'Aggregates of all addresses', tag: TAG, query: listQuery, response: listResponse };
  for (const path of ['/api/v0/aggregates', '/api/v0/aggregates.json']) {
    app.get(path, { config: { doc: list } }, async ({ query }) => {
      const wanted = readParams(listQuery, query);
      const { rows, total } = views.aggregates({
        keys: wanted.keys,
        addresses: wanted.addresses,
        sortBy: wanted.sortBy === 'creation_time' ? 'created' : 'last_updated',
        isDescending: wanted.sortOrder === -1,
        ...pageOf(wanted),
      });
      const aggregates = rows.map(({ address, key, content, created, lastUpdated }) => ({
        ...{ address, key, content },
        ...{ created: isoTime(created), last_updated: isoTime(lastUpdated) },
      }));
      return { aggregates, ...pageMembers(wanted, { total, item: 'aggregates' }) };
    });
  }
}

function infoOf(
  times: { created: number; lastUpdated: number },
  made: { firstItemHash: string; lastItemHash: string } | undefined,
) {
  return {
    created: isoTime(times.created),
    last_updated: isoTime(times.lastUpdated),
    original_item_hash: made?.firstItemHash ?? '',
    last_update_item_hash: made?.lastItemHash ?? '',
  };
}
