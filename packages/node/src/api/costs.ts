import { itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { addCosts, type Estimate } from '../pricing/index.ts';
import type { ApiComponents } from './components.ts';
import { priceableInForce, priceOf } from './price-message.ts';
import { booleanParam, choiceParam, intParam, malformedParam, readParams } from './query-params.ts';

const querySchema = z.object({
  address: z.string().max(128).optional(),
  item_hash: z
    .string()
    .refine((text) => itemHashSchema.safeParse(text).success, { error: 'an item_hash' })
    .optional(),
  payment_type: choiceParam(['hold', 'superfluid', 'credit']).optional(),
  include_details: intParam({ min: 0, max: 2 }).default(0),
  include_size: booleanParam().default(false),
  pagination: intParam({ min: 10, max: 1000 }).default(100),
  page: intParam({ min: 1, max: 1_000_000 }).default(1),
});

type Query = z.output<typeof querySchema>;

const resourceSchema = z.object({
  item_hash: z.string(),
  owner: z.string(),
  payment_type: z.string(),
  consumed_credits: z.int(),
  cost_hold: z.string(),
  cost_stream: z.string(),
  cost_credit: z.string(),
  detail: z.array(z.unknown()).optional(),
});
const answerSchema = z.object({
  summary: z.object({
    total_consumed_credits: z.int(),
    total_cost_hold: z.string(),
    total_cost_stream: z.string(),
    total_cost_credit: z.string(),
    resource_count: z.int(),
  }),
  filters: z.object({
    address: z.string().nullable(),
    item_hash: z.string().nullable(),
    payment_type: z.string().nullable(),
  }),
  resources: z.array(resourceSchema).optional(),
  pagination_page: z.int().optional(),
  pagination_total: z.int().optional(),
  pagination_per_page: z.int().optional(),
  pagination_item: z.literal('resources').optional(),
});

/** Something in force, and what it costs. */
interface Resource {
  itemHash: string;
  estimate: Estimate;
}

/** What runs, or what one address has, would cost together. */
export function registerCosts(app: FastifyInstance, components: ApiComponents): void {
  const summary = 'What everything that runs costs together; with an address its files as well';
  const doc = { summary, tag: 'prices', query: querySchema, response: answerSchema };
  app.get('/api/v0/costs', { config: { doc } }, async (request) => {
    const query = readParams(querySchema, request.query);
    if (query.include_details === 2 && query.address === undefined && query.item_hash === undefined) {
      throw malformedParam('include_details', { found: '2', wanted: 'at most 1 without an address or an item_hash' });
    }
    const resources = await resourcesOf(query, components);
    return { ...summaryOf(query, resources), ...(query.include_details === 0 ? {} : pageOf(query, resources)) };
  });
}

async function resourcesOf(query: Query, components: ApiComponents): Promise<Resource[]> {
  const resources: Resource[] = [];
  for (const itemHash of hashesOf(query, components)) {
    const found = await resourceOf(itemHash, components);
    if (found !== undefined && isMeant(found, query)) resources.push(found);
  }
  return resources;
}

function hashesOf({ address, item_hash: itemHash }: Query, { ledger }: ApiComponents): string[] {
  if (itemHash !== undefined) return [itemHash];
  const running = [...ledger.programs(), ...ledger.instances()];
  const files = address === undefined ? [] : ledger.storesOf(address);
  return [...running, ...files]
    .filter(({ content }) => address === undefined || sameAddress(content.address, address))
    .map((message) => message.itemHash);
}

async function resourceOf(itemHash: string, components: ApiComponents): Promise<Resource | undefined> {
  try {
    return { itemHash, estimate: await priceOf(priceableInForce(itemHash, components), components) };
  } catch {
    // Not in force, gone meanwhile, or nothing that has a price: nothing is asked for it.
    return undefined;
  }
}

function isMeant({ estimate }: Resource, { address, payment_type: paymentType }: Query): boolean {
  if (paymentType !== undefined && estimate.paymentType !== paymentType) return false;
  return address === undefined || sameAddress(estimate.chargedAddress, address);
}

function summaryOf(query: Query, resources: readonly Resource[]) {
  const total = (way: 'cost_hold' | 'cost_stream' | 'cost_credit') =>
    addCosts(resources.map(({ estimate }) => sumOf(estimate, way)));
  return {
    summary: {
      total_consumed_credits: 0,
      total_cost_hold: total('cost_hold'),
      total_cost_stream: total('cost_stream'),
      total_cost_credit: total('cost_credit'),
      resource_count: resources.length,
    },
    filters: {
      address: query.address ?? null,
      item_hash: query.item_hash ?? null,
      payment_type: query.payment_type ?? null,
    },
  };
}

function pageOf(
  { page, pagination, include_details: details, include_size: isSized }: Query,
  all: readonly Resource[],
) {
  const shown = all.slice((page - 1) * pagination, page * pagination);
  return {
    resources: shown.map(({ itemHash, estimate }) => ({
      item_hash: itemHash,
      owner: estimate.chargedAddress,
      payment_type: estimate.paymentType,
      consumed_credits: 0,
      cost_hold: sumOf(estimate, 'cost_hold'),
      cost_stream: sumOf(estimate, 'cost_stream'),
      cost_credit: sumOf(estimate, 'cost_credit'),
      ...(details < 2 ? {} : { detail: estimate.lines.map((line) => (isSized ? line : { ...line, size_mib: null })) }),
    })),
    pagination_page: page,
    pagination_total: all.length,
    pagination_per_page: pagination,
    pagination_item: 'resources',
  };
}

function sumOf({ lines }: Estimate, way: 'cost_hold' | 'cost_stream' | 'cost_credit'): string {
  return addCosts(lines.map((line) => line[way]));
}
