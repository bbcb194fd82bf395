/** The contents that carry data: POST, AGGREGATE, STORE, FORGET. */
import * as z from 'zod';
import { fileHashSchema, isCid, itemHashSchema } from './hashes.ts';
import { baseMembers, metadataSchema, optional, paymentSchema } from './members.ts';

const MAX_FORGET_TARGETS = 1000;

/** Reads a POST content. `content` is the writer's own and is kept as it stands, null included. */
export const postContentSchema = z
  .strictObject({
    ...baseMembers,
    type: z.string(),
    content: z.unknown().optional(),
    // Old posts refer to a whole message instead of its hash.
    ref: optional(z.union([z.string(), z.looseObject({ item_hash: itemHashSchema })])),
  })
  .refine((post) => post.type !== 'amend' || typeof post.ref === 'string', {
    path: ['ref'],
    error: 'the hash of a post with type "amend"',
  });

/** Reads an AGGREGATE content. A null inside `content` is data and stays. */
export const aggregateContentSchema = z.strictObject({
  ...baseMembers,
  key: z.union([z.string(), z.strictObject({ name: z.string() })]),
  content: z.record(z.string(), z.unknown()),
});

/** Reads a STORE content. Unknown members are dropped: they are signed, so `item_content` keeps them, but nothing reads them. */
export const storeContentSchema = z
  .object({
    ...baseMembers,
    item_type: z.enum(['storage', 'ipfs']),
    item_hash: fileHashSchema,
    ref: optional(z.string()),
    size: optional(z.int().min(0)),
    content_type: optional(z.string()),
    metadata: optional(metadataSchema),
    payment: optional(paymentSchema.extend({ type: z.enum(['hold', 'credit']) })),
  })
  .refine((store) => isCid(store.item_hash) === (store.item_type === 'ipfs'), {
    path: ['item_hash'],
    error: 'a CID with item_type "ipfs" and a SHA-256 with item_type "storage"',
  });

/** Reads a FORGET content. Whether it names any target at all is for the ledger to say. */
export const forgetContentSchema = z.strictObject({
  ...baseMembers,
  hashes: z.array(itemHashSchema).max(MAX_FORGET_TARGETS),
  // Keys of aggregates of the address.
  aggregates: z.array(z.string()).max(MAX_FORGET_TARGETS).default([]),
  reason: optional(z.string().max(1000)),
});
