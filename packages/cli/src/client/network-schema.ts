import { manifestSchema } from '@vmlet/builder';
import { itemHashSchema } from '@vmlet/messages/schema';
import * as z from 'zod';

const networkRuntimeSchema = z.object({
  item_hash: itemHashSchema,
  address: z.string(),
  time: z.number(),
  file_hash: z.string(),
  size: z.number(),
  /** The STORE that it is a newer version of. */
  ref: itemHashSchema.nullable(),
  names: z.array(z.string()),
  metadata: manifestSchema,
});

/** A runtime as the network API of a node tells it. */
export type NetworkRuntime = z.output<typeof networkRuntimeSchema>;

const aliasSchema = z.object({ hash: itemHashSchema, target: itemHashSchema, active: z.boolean() });

/** What the operator of a node has stand in for a runtime. */
export type ListedAlias = z.output<typeof aliasSchema>;

export const networkRuntimesSchema = z.object({
  runtimes: z.array(networkRuntimeSchema),
  pagination_total: z.number(),
  operator: z.string(),
  aliases: z.array(aliasSchema),
});

export const runtimeDetailSchema = networkRuntimeSchema.extend({
  alias: aliasSchema.nullable(),
  stands_in_for: z.array(itemHashSchema),
  versions: z.array(z.object({ item_hash: itemHashSchema, version: z.string(), time: z.number() })),
  used_by: z.object({
    count: z.number(),
    programs: z.array(z.object({ item_hash: z.string(), address: z.string() })),
  }),
});

/** The same with all that is known of it. */
export type RuntimeDetail = z.output<typeof runtimeDetailSchema>;

/** The state of a message; `message` is there for those in force. */
export const messageStateSchema = z.looseObject({
  status: z.string(),
  item_hash: z.string(),
  reception_time: z.string().optional(),
  message: z.looseObject({}).nullish(),
  messages: z.array(z.looseObject({})).optional(),
  error_code: z.int().nullish(),
  details: z.unknown().optional(),
  forgotten_by: z.array(z.string()).optional(),
});

export type MessageState = z.output<typeof messageStateSchema>;

/** The AGGREGATEs of an address, by key. */
export const aggregatesSchema = z.object({ data: z.record(z.string(), z.record(z.string(), z.unknown())) });
