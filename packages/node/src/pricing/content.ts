import { addressSchema } from '@vmlet/messages/schema';
import * as z from 'zod';

/**
 * What of a content its price depends on. It is read without the rest, for an estimate is asked of what is not whole
 * yet: a file that was not uploaded has no hash, and says how large it will be in `estimated_size_mib`.
 */
const MAX_SIZE_MIB = 1_000_000_000;
const sizeSchema = z.number().min(0).max(MAX_SIZE_MIB).nullish();
const paymentSchema = z.object({ type: z.enum(['hold', 'superfluid', 'credit']).default('hold') }).nullish();

/** What a program or an instance wants of a file: its name, or how large it will be. */
const refSchema = z.object({
  ref: z.string().max(128).nullish(),
  use_latest: z.boolean().nullish(),
  estimated_size_mib: sizeSchema,
});

const volumeSchema = refSchema.extend({
  mount: z.string().max(256).nullish(),
  size_mib: z.number().min(0).max(MAX_SIZE_MIB).nullish(),
});

const executableMembers = {
  address: addressSchema,
  payment: paymentSchema,
  resources: z
    .object({ vcpus: z.int().min(1).max(256).default(1), memory: z.int().min(1).max(1_048_576).default(128) })
    .prefault({}),
  volumes: z.array(volumeSchema).max(256).nullish(),
};

const programSchema = z.object({
  ...executableMembers,
  code: refSchema,
  runtime: refSchema,
  data: refSchema.nullish(),
  on: z.object({ persistent: z.boolean().nullish() }).nullish(),
  environment: z.object({ internet: z.boolean().nullish() }).nullish(),
});

/** What the price of an INSTANCE depends on. */
export const instanceSchema = z.object({
  ...executableMembers,
  rootfs: z.object({
    parent: z.object({ ref: z.string().max(128).nullish() }).nullish(),
    size_mib: z.number().min(0).max(MAX_SIZE_MIB),
  }),
  environment: z.object({ trusted_execution: z.unknown().optional() }).nullish(),
  requirements: z
    .object({
      gpu: z
        .array(z.object({ device_id: z.string() }))
        .max(64)
        .nullish(),
    })
    .nullish(),
});

const storeSchema = z.object({
  address: addressSchema,
  payment: paymentSchema,
  item_hash: z.string().max(128).nullish(),
  estimated_size_mib: sizeSchema,
});

/** Something with a price, and what kind of message it is. */
export type Priceable =
  | { type: 'PROGRAM'; content: z.output<typeof programSchema> }
  | { type: 'INSTANCE'; content: z.output<typeof instanceSchema> }
  | { type: 'STORE'; content: z.output<typeof storeSchema> };

export type PriceableType = Priceable['type'];
export type PriceableContent<T extends PriceableType> = Extract<Priceable, { type: T }>['content'];
export type FileWanted = z.output<typeof refSchema>;

const SCHEMAS = {
  PROGRAM: programSchema.transform((content) => ({ type: 'PROGRAM' as const, content })),
  INSTANCE: instanceSchema.transform((content) => ({ type: 'INSTANCE' as const, content })),
  STORE: storeSchema.transform((content) => ({ type: 'STORE' as const, content })),
};

/** Reads what the price of a message of a type depends on from its content; undefined for a type that has no price. */
export function priceableSchemaOf(type: string): z.ZodType<Priceable> | undefined {
  return Object.hasOwn(SCHEMAS, type) ? SCHEMAS[type as PriceableType] : undefined;
}
