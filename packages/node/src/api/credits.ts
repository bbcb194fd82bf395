import { addressSchema } from '@vmlet/messages/schema';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import { type HashRoute, itemHashParam } from './hash-param.ts';
import { booleanParam, choiceParam, intParam, readParams, secondsParam } from './query-params.ts';

const addressParams = z.object({ address: addressSchema });
const chain = z.string().max(32);

const balanceQuery = z.object({ chain: chain.optional(), include_credit_details: booleanParam().default(false) });
const balanceSchema = z.object({
  address: z.string(),
  balance: z.number(),
  details: z.record(z.string(), z.number()),
  locked_amount: z.number(),
  credit_balance: z.int(),
  credit_balance_details: z.array(z.unknown()).optional(),
});

/** Lists of this network are empty: nobody's tokens or credits are counted. */
const pageQuery = z.object({
  pagination: intParam({ min: 0, max: 1000 }).default(100),
  page: intParam({ min: 1, max: 1_000_000 }).default(1),
  chains: z.string().max(512).optional(),
  min_balance: z
    .string()
    .max(64)
    .regex(/^\d+(\.\d+)?$/, { error: 'a decimal number' })
    .optional(),
});
const pageSchema = z.object({
  pagination_per_page: z.int(),
  pagination_page: z.int(),
  pagination_total: z.int(),
  pagination_item: z.string(),
});
const historyQuery = pageQuery.extend({
  tx_hash: z.string().max(256).optional(),
  token: z.string().max(64).optional(),
  chain: chain.optional(),
  provider: z.string().max(128).optional(),
  origin: z.string().max(128).optional(),
  origin_ref: z.string().max(256).optional(),
  payment_method: z.string().max(128).optional(),
  direction: choiceParam(['incoming', 'outgoing']).optional(),
  startDate: secondsParam().optional(),
  endDate: secondsParam().optional(),
});

const tag = 'balances';

/** Balances and credits, typed and empty: publishing and running are free here. */
export function registerCredits(app: FastifyInstance): void {
  const balanceDoc = { summary: 'Balance of an address', tag, params: addressParams };
  const balance = { config: { doc: { ...balanceDoc, query: balanceQuery, response: balanceSchema } } };
  app.get('/api/v0/addresses/:address/balance', balance, async (request) => {
    const { address } = readParams(addressParams, request.params);
    const { include_credit_details: isDetailed } = readParams(balanceQuery, request.query);
    const details = isDetailed ? { credit_balance_details: [] } : {};
    return { address, balance: 0, details: {}, locked_amount: 0, credit_balance: 0, ...details };
  });
  registerEmptyLists(app);
  registerHistory(app);

  const consumedSchema = z.object({ item_hash: z.string(), consumed_credits: z.int() });
  const consumedDoc = { summary: 'Credits that a message has used up', tag, response: consumedSchema };
  const consumed = { config: { doc: { ...consumedDoc, params: z.object({ hash: z.string() }) } } };
  app.get<HashRoute>('/api/v0/messages/:hash/consumed_credits', consumed, async (request) => ({
    item_hash: itemHashParam(request),
    consumed_credits: 0,
  }));
}

function registerEmptyLists(app: FastifyInstance): void {
  for (const item of ['balances', 'credit_balances'] as const) {
    const response = pageSchema.extend({ [item]: z.array(z.unknown()) });
    const doc = { summary: item === 'balances' ? 'Balances of all addresses' : 'Credits of all addresses', tag };
    app.get(`/api/v0/${item}`, { config: { doc: { ...doc, query: pageQuery, response } } }, async (request) => {
      const { pagination, page } = readParams(pageQuery, request.query);
      return {
        [item]: [],
        pagination_per_page: pagination,
        pagination_page: page,
        pagination_total: 0,
        pagination_item: item,
      };
    });
  }
}

function registerHistory(app: FastifyInstance): void {
  const doc = { summary: 'Credits that an address got and used: none on this network', tag, params: addressParams };
  const config = { doc: { ...doc, query: historyQuery } };
  app.get('/api/v0/addresses/:address/credit_history', { config }, async (request) => {
    const { address } = readParams(addressParams, request.params);
    readParams(historyQuery, request.query);
    throw new VmletError('CREDIT_HISTORY_EMPTY', { operands: { address } });
  });
  const response = z.object({
    address: z.string(),
    entry_count: z.int(),
    total_amount: z.int(),
    total_incoming: z.int(),
    total_outgoing: z.int(),
  });
  const summary = { doc: { ...doc, query: historyQuery, summary: 'Sums of the credit history', response } };
  app.get('/api/v0/addresses/:address/credit_history/summary', { config: summary }, async (request) => {
    const { address } = readParams(addressParams, request.params);
    readParams(historyQuery, request.query);
    return { address, entry_count: 0, total_amount: 0, total_incoming: 0, total_outgoing: 0 };
  });
}
