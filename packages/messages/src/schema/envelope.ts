/** The envelope: what is broadcast around a content. */
import * as z from 'zod';
import { CHAINS } from './chains.ts';
import { contentSchemas, type MessageType } from './contents.ts';
import { addressSchema, isCid, itemHashSchema } from './hashes.ts';
import { optional, timeSchema } from './members.ts';

const MESSAGE_TYPES = Object.keys(contentSchemas) as MessageType[];

/**
 * Reads the broadcast form. Unknown members are refused, null `channel` and `item_content` mean absent.
 * The hash is not computed here; `parseEnvelope` does that as well.
 */
export const envelopeSchema = z
  .strictObject({
    chain: z.enum(CHAINS),
    sender: addressSchema,
    type: z.enum(MESSAGE_TYPES),
    channel: optional(z.string().max(128)),
    time: timeSchema,
    item_type: z.enum(['inline', 'storage', 'ipfs']),
    item_hash: itemHashSchema,
    item_content: optional(z.string()),
    signature: z.string().min(1).max(4096),
  })
  .refine((envelope) => isCid(envelope.item_hash) === (envelope.item_type === 'ipfs'), {
    path: ['item_hash'],
    error: 'a CID with item_type "ipfs" and a SHA-256 with every other item_type',
  });

/**
 * A message as it travels. `chain`, `sender`, `type` and `item_hash` are signed; `time`, `channel` and `item_type` are
 * not, so a copy with another time verifies as well: the first one accepted counts.
 */
export type Envelope = z.output<typeof envelopeSchema>;
