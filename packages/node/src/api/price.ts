import { text } from 'node:stream/consumers';
import { fileHashSchema } from '@vmlet/messages/schema';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import { MAX_CONTENT_BYTES } from '../ledger/index.ts';
import { type Estimate, instanceSchema } from '../pricing/index.ts';
import type { ApiComponents } from './components.ts';
import { type HashRoute, itemHashParam } from './hash-param.ts';
import { bytesOfFile, priceableInForce, priceOf, read, readPriceable } from './price-message.ts';
import { booleanParam, readParams } from './query-params.ts';

/** A message that may lack all that an estimate does not need: sender, signature, time. */
const messageSchema = z.object({
  type: z.string(),
  item_type: z.enum(['inline', 'storage', 'ipfs']).default('inline'),
  item_hash: z.string().max(128).default(''),
  item_content: z.string().nullish(),
});
const bodySchema = z.object({ message: messageSchema });
const hashParams = z.object({ hash: z.string() });
const sizeQuery = z.object({ include_size: booleanParam().optional() });

const lineSchema = z.object({
  type: z.string(),
  name: z.string(),
  cost_hold: z.string(),
  cost_stream: z.string(),
  cost_credit: z.string(),
  size_mib: z.number().nullable(),
});
const answerSchema = z.object({
  required_tokens: z.number(),
  payment_type: z.enum(['hold', 'superfluid', 'credit']),
  cost: z.string(),
  detail: z.array(lineSchema),
  charged_address: z.string(),
});
const recalculatedSchema = z.object({
  message: z.string(),
  recalculated_count: z.int(),
  total_messages: z.int(),
  pricing_changes_found: z.int(),
  errors: z.array(z.unknown()),
});

const tag = 'prices';

/** What messages would cost on the reference network, or by the operator's own prices. Nothing is charged here. */
export function registerPrice(app: FastifyInstance, components: ApiComponents): void {
  const estimateDoc = { summary: 'What a message would cost', tag, body: bodySchema, response: answerSchema };
  app.post('/api/v0/price/estimate', { config: { doc: estimateDoc } }, async (request) => {
    const { message } = read(bodySchema, request.body);
    const content = await contentOf(message, components);
    return answer(await priceOf(readPriceable(message.type, content, { operand: 'message' }), components));
  });

  const instanceDoc = { summary: 'What an instance would cost, by its content alone', tag, body: instanceSchema };
  const estimateInstance = { config: { doc: { ...instanceDoc, response: answerSchema } } };
  app.post('/api/v0/price/estimate/instance', estimateInstance, async (request) =>
    answer(await priceOf(readPriceable('INSTANCE', request.body, { operand: 'content' }), components)),
  );

  const priceDoc = { summary: 'What a message in force costs', tag, params: hashParams, query: sizeQuery };
  const price = { config: { doc: { ...priceDoc, response: answerSchema } } };
  app.get<HashRoute>('/api/v0/price/:hash', price, async (request) => {
    const { include_size: isSized = false } = readParams(sizeQuery, request.query);
    const priced = await priceOf(priceableInForce(itemHashParam(request), components), components);
    const lines = isSized ? priced.lines : priced.lines.map((line) => ({ ...line, size_mib: null }));
    return answer({ ...priced, lines });
  });

  registerRecalculation(app, components);
}

/**
 * Prices are calculated whenever they are asked for, so there is nothing to bring up to date: what these routes answer
 * is how many messages have a price.
 */
function registerRecalculation(app: FastifyInstance, components: ApiComponents): void {
  const { ledger } = components;
  const doc = { summary: 'Count the messages that have a price', tag, response: recalculatedSchema };
  app.post('/api/v0/price/recalculate', { config: { doc } }, async (request) => {
    refuseStrangers(request.headers['x-auth-token'], components);
    return recalculated(ledger.programs().length + ledger.instances().length);
  });
  const one = { config: { doc: { ...doc, params: hashParams } } };
  app.post<HashRoute>('/api/v0/price/:hash/recalculate', one, async (request) => {
    refuseStrangers(request.headers['x-auth-token'], components);
    await priceOf(priceableInForce(itemHashParam(request), components), components);
    return recalculated(1);
  });
}

function recalculated(count: number): z.output<typeof recalculatedSchema> {
  return {
    message: 'Prices are calculated when they are asked for',
    recalculated_count: count,
    total_messages: count,
    pricing_changes_found: 1,
    errors: [],
  };
}

function refuseStrangers(token: string | string[] | undefined, { isOperatorToken }: ApiComponents): void {
  if (typeof token === 'string' && isOperatorToken(token)) return;
  const found = token === undefined ? 'none' : 'another, or an old one';
  throw new VmletError('AUTH_TOKEN_REFUSED', { operands: { found } });
}

function answer({ cost, paymentType, lines, chargedAddress }: Estimate): z.output<typeof answerSchema> {
  return {
    required_tokens: Number(cost),
    payment_type: paymentType,
    cost,
    detail: [...lines],
    charged_address: chargedAddress,
  };
}

/** The content that a message brings, or the file of it that is here. */
async function contentOf(message: z.output<typeof messageSchema>, { content }: ApiComponents): Promise<unknown> {
  const written = message.item_content ?? (await storedText(message.item_hash, content));
  try {
    return JSON.parse(written ?? '');
  } catch (cause) {
    const found = written === undefined ? 'nothing' : 'no JSON';
    const operands = { found, path: 'message.item_content', wanted: 'the JSON text of a content' };
    throw new VmletError('PRICE_CONTENT_MALFORMED', { operands, cause });
  }
}

async function storedText(itemHash: string, content: ApiComponents['content']): Promise<string | undefined> {
  const { data: fileHash } = fileHashSchema.safeParse(itemHash);
  const sizeBytes = await bytesOfFile(itemHash, { content });
  if (fileHash === undefined || sizeBytes === undefined || sizeBytes > MAX_CONTENT_BYTES) return undefined;
  return await text((await content.read(fileHash)).stream);
}
