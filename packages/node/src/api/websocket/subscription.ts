import { contentSchemas, envelopeSchema, itemHashSchema } from '@vmlet/messages/schema';
import * as z from 'zod';
import { booleanParam, intParam, listParam, secondsParam, textsParam } from '../query-params.ts';

const MAX_HISTORY = 199;
const DEFAULT_HISTORY = 10;

const texts = textsParam().optional();
const hashes = listParam(itemHashSchema, { wanted: '64 lowercase hex digits or a CID' }).optional();
const types = listParam(envelopeSchema.shape.type, {
  wanted: `one of ${Object.keys(contentSchemas).join(', ')}`,
}).optional();

/** The query of a subscription: the filters of a list, and how much of the past comes first. */
export const subscriptionSchema = z.object({
  msgType: types,
  msgTypes: types,
  addresses: texts,
  owners: texts,
  channels: texts,
  chains: listParam(envelopeSchema.shape.chain, { wanted: 'the name of a chain' }).optional(),
  refs: texts,
  tags: texts,
  contentTypes: texts,
  contentKeys: texts,
  contentHashes: hashes,
  hashes,
  paymentTypes: listParam(z.enum(['hold', 'superfluid', 'credit']), {
    wanted: 'one of hold, superfluid, credit',
  }).optional(),
  startDate: secondsParam().optional(),
  endDate: secondsParam().optional(),
  excludeContent: booleanParam().default(false),
  history: intParam({ min: 0, max: MAX_HISTORY }).default(DEFAULT_HISTORY),
});

/** What one client asked for. */
export type MessageSubscription = z.output<typeof subscriptionSchema>;
