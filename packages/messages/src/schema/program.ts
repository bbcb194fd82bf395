/** The content of a PROGRAM message. */
import * as z from 'zod';
import { itemHashSchema } from './hashes.ts';
import { executableMembers } from './machine.ts';
import { boundedMap, optional } from './members.ts';

const MAX_SUBSCRIPTION_ENTRIES = 32;
const encodingSchema = z.enum(['plain', 'zip', 'squashfs']);

const codeSchema = z.object({
  encoding: encodingSchema,
  entrypoint: z.string().min(1),
  ref: itemHashSchema,
  interface: optional(z.enum(['asgi', 'binary'])),
  args: optional(z.array(z.string())),
  use_latest: z.boolean().default(false),
});

const runtimeSchema = z.object({ ref: itemHashSchema, use_latest: z.boolean().default(true), comment: z.string() });

const environmentSchema = z.object({
  reproducible: z.boolean().default(false),
  internet: z.boolean().default(false),
  aleph_api: z.boolean().default(false),
  shared_cache: z.boolean().default(false),
});

const onSchema = z.strictObject({
  http: z.boolean(),
  message: optional(z.array(boundedMap(z.record(z.string(), z.unknown()), MAX_SUBSCRIPTION_ENTRIES))),
  persistent: optional(z.boolean()),
});

const dataSchema = z.object({
  encoding: encodingSchema,
  mount: z.string(),
  ref: optional(itemHashSchema),
  use_latest: optional(z.boolean()),
});

/** Reads a PROGRAM content. `code`, `runtime`, `environment`, `data` and `export` ignore extra members, `on` refuses them. */
export const programContentSchema = z.strictObject({
  ...executableMembers,
  type: z.literal('vm-function'),
  environment: environmentSchema,
  code: codeSchema,
  runtime: runtimeSchema,
  data: optional(dataSchema),
  export: optional(z.object({ encoding: encodingSchema, mount: z.string() })),
  on: onSchema,
});
