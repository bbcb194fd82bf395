/** Building blocks the content schemas share. */
import * as z from 'zod';
import { CHAINS } from './chains.ts';
import { addressSchema } from './hashes.ts';

const MAX_MAP_ENTRIES = 256;

/** An optional member. JSON null means the same as leaving it out, as clients in Python write it. */
export function optional<T extends z.ZodType>(schema: T) {
  return z.optional(schema.nullable().transform((value) => value ?? undefined));
}

/** Seconds since 1970, with fractions; the upper bound is what signed 64-bit nanoseconds can hold. */
export const timeSchema = z.number().min(0).max(9_223_372_036);

/** Members every content has. */
export const baseMembers = { address: addressSchema, time: timeSchema };

/** Free-form data about a message, at most 256 entries. */
export const metadataSchema = boundedMap(z.record(z.string(), z.unknown()), MAX_MAP_ENTRIES);

/** Refuses a map with more than `maxEntries` keys. */
export function boundedMap<T extends z.ZodType<Record<string, unknown>>>(schema: T, maxEntries: number) {
  return schema.refine((map) => Object.keys(map).length <= maxEntries, { error: `at most ${maxEntries} entries` });
}

/** A short name a person reads, at most 256 characters. */
export const labelSchema = z.string().max(256);

/** How the owner pays. Extra members are ignored. */
export const paymentSchema = z.object({
  chain: optional(z.enum(CHAINS)),
  receiver: optional(addressSchema),
  type: z.enum(['hold', 'superfluid', 'credit']),
});
