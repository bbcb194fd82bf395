import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { addressParam } from './address-param.ts';
import type { ApiComponents } from './components.ts';
import { pageFields, pageMembers, pageOf, pageSchema, sortOrder } from './paging.ts';
import { choiceParam, readParams, textsParam } from './query-params.ts';

/** Longer than the address of any chain that the network has. */
const MAX_SEARCHED_CHARS = 66;
const TAG = 'addresses';
const TYPES = ['post', 'aggregate', 'store', 'program', 'instance', 'forget'] as const;

const statsSchema = z.object({
  messages: z.int(),
  post: z.int(),
  aggregate: z.int(),
  store: z.int(),
  program: z.int(),
  instance: z.int(),
  forget: z.int(),
});
const dataSchema = z.record(z.string(), statsSchema);
const statsV0Query = z.object({ addresses: textsParam().optional() });
const searched = `at most ${MAX_SEARCHED_CHARS} characters of an address`;
const statsV1Query = z.object({
  addressContains: z.string().max(MAX_SEARCHED_CHARS, { error: searched }).optional(),
  sortBy: choiceParam([...TYPES, 'total']).default('total'),
  sortOrder,
  ...pageFields({ defaultSize: 20, maxSize: 1000 }),
});
const params = z.object({ address: addressParam });

/** GET of what addresses have sent. */
export function registerAddresses(app: FastifyInstance, { facets }: Pick<ApiComponents, 'facets'>): void {
  const v0 = {
    summary: 'How many messages of each type addresses have',
    tag: TAG,
    query: statsV0Query,
    response: z.object({ data: dataSchema }),
  };
  app.get('/api/v0/addresses/stats.json', { config: { doc: v0 } }, async ({ query }) => {
    const { addresses } = readParams(statsV0Query, query);
    return { data: dataOf(addresses === undefined ? facets.statsPage({}).rows : facets.statsOf(addresses)) };
  });

  const v1 = {
    summary: 'The same page by page, searched and sorted',
    tag: TAG,
    query: statsV1Query,
    response: z.object({ data: dataSchema, ...pageSchema }),
  };
  app.get('/api/v1/addresses/stats.json', { config: { doc: v1 } }, async ({ query }) => {
    const wanted = readParams(statsV1Query, query);
    const { addressContains: contains, sortBy } = wanted;
    const isDescending = wanted.sortOrder === -1;
    const { rows, total } = facets.statsPage({ contains, sortBy, isDescending, ...pageOf(wanted) });
    return { data: dataOf(rows), ...pageMembers(wanted, { total, item: 'addresses' }) };
  });

  registerKinds(app, facets);
}

function registerKinds(app: FastifyInstance, facets: ApiComponents['facets']): void {
  const kinds = {
    post_types: { summary: 'Types of the posts of an address', read: facets.postTypesOf.bind(facets) },
    channels: { summary: 'Channels that an address has written to', read: facets.channelsOf.bind(facets) },
  };
  for (const [member, { summary, read }] of Object.entries(kinds)) {
    const response = z.object({ address: z.string(), [member]: z.array(z.string()) });
    const doc = { summary, tag: TAG, params, response };
    app.get(`/api/v0/addresses/:address/${member}`, { config: { doc } }, async (request) => {
      const { address } = readParams(params, request.params);
      return { address, [member]: read(address) };
    });
  }
}

function dataOf(rows: readonly { address: string; counts: Readonly<Record<string, number>> }[]) {
  const entries = rows.map(({ address, counts }) => {
    const byType = TYPES.map((type) => [type, counts[type.toUpperCase()] ?? 0] as const);
    const messages = byType.reduce((sum, [, count]) => sum + count, 0);
    return [address, { messages, ...Object.fromEntries(byType) }] as const;
  });
  return Object.fromEntries(entries);
}
