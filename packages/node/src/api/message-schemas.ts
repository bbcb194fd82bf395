import * as z from 'zod';

/** A message as the network tells it: the envelope's members that it may lack are left out, or null. */
const envelope = {
  sender: z.string(),
  chain: z.string(),
  signature: z.string(),
  type: z.string(),
  item_content: z.string().nullish(),
  item_type: z.enum(['inline', 'storage', 'ipfs']),
  item_hash: z.string(),
  channel: z.string().nullish(),
};

const skeleton = z.looseObject({ ...envelope, time: z.number() });

/** A message in force. */
export const messageSchema = skeleton.extend({
  content: z.record(z.string(), z.unknown()),
  confirmed: z.boolean(),
  confirmations: z.array(z.object({ chain: z.string(), height: z.int(), hash: z.string() })),
});

const known = { item_hash: z.string(), reception_time: z.string() };
const faults = { error_code: z.int(), details: z.looseObject({ errors: z.array(z.unknown()) }) };

/** What became of a message. */
export const statusEnvelopeSchema = z.discriminatedUnion('status', [
  z.looseObject({
    status: z.literal('pending'),
    ...known,
    messages: z.array(z.looseObject({ ...envelope, time: z.string() })),
  }),
  z.looseObject({ status: z.literal('processed'), ...known, message: messageSchema }),
  z.looseObject({ status: z.literal('rejected'), ...known, message: skeleton, ...faults }),
  z.looseObject({
    status: z.literal('forgotten'),
    ...known,
    message: skeleton,
    forgotten_by: z.array(z.string()),
  }),
  z.looseObject({ status: z.literal('removing'), ...known, message: messageSchema, reason: z.string().nullish() }),
  z.looseObject({ status: z.literal('removed'), ...known, message: skeleton, removed_at: z.string().nullish() }),
]);

const STATUSES = ['pending', 'processed', 'rejected', 'forgotten', 'removing', 'removed'] as const;

/** The same in short. */
export const shortStatusSchema = z.object({ status: z.enum(STATUSES), ...known });

/** What a message that was handed in came to. */
export const acceptanceSchema = z.object({
  publication_status: z.object({ status: z.string(), failed: z.array(z.string()) }),
  message_status: z.enum(STATUSES),
  error_code: z.int().optional(),
  details: z.looseObject({ errors: z.array(z.unknown()) }).optional(),
});
