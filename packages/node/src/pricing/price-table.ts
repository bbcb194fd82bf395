import * as z from 'zod';
import { type Exact, exactOf, parseDecimal, ZERO } from './decimal.ts';

const priceSchema = z.union([z.string(), z.number().nonnegative().finite()]).transform((price, context): Exact => {
  const read = typeof price === 'number' ? (parseDecimal(String(price)) ?? exactOf(price)) : parseDecimal(price);
  if (read !== undefined) return read;
  context.addIssue({ code: 'custom', message: 'a decimal number such as "0.05"' });
  return z.NEVER;
});

/** What is asked for holding tokens, for a stream of them in an hour, and in credits in an hour. */
const ratesSchema = z.object({
  holding: priceSchema.default(ZERO),
  payg: priceSchema.default(ZERO),
  credit: priceSchema.default(ZERO),
});

const productSchema = z.object({
  price: z.object({ storage: ratesSchema, compute_unit: ratesSchema.optional() }),
  /** What one unit of computing brings: memory, and disk that costs nothing more. */
  compute_unit: z.object({ disk_mib: z.int().min(0), memory_mib: z.int().min(1) }).optional(),
  tiers: z.array(z.object({ model: z.string().optional(), compute_units: z.int().min(1).max(1024) })).default([]),
});

/** Prices of one product, each for a MiB or for a compute unit. */
export type ProductPrices = z.output<typeof productSchema>;
export type Rates = z.output<typeof ratesSchema>;

const tableSchema = z.object({
  program: productSchema,
  program_persistent: productSchema,
  instance: productSchema,
  instance_confidential: productSchema,
  instance_gpu_premium: productSchema,
  instance_gpu_standard: productSchema,
  storage: productSchema,
});

/** Prices of all products. */
export type PriceTable = z.output<typeof tableSchema>;
export type Product = keyof PriceTable;

const SMALL_UNIT = { disk_mib: 2048, memory_mib: 2048 };
const UNIT = { disk_mib: 20_480, memory_mib: 2048 };
const GPU_UNIT = { disk_mib: 61_440, memory_mib: 6144 };
const STORAGE_CREDIT = '0.17967489030626108';
const PAYG_STORAGE = '0.000000977';
const DISK = { holding: '0.05', payg: PAYG_STORAGE, credit: STORAGE_CREDIT };
const PROGRAM_DISK = { holding: '0.05', payg: PAYG_STORAGE, credit: '0.977' };
const GPU_DISK = { payg: PAYG_STORAGE, credit: STORAGE_CREDIT };

/** What the reference network asks, as its node ships it. */
const REFERENCE_PRICES: z.input<typeof tableSchema> = {
  program: {
    price: { storage: PROGRAM_DISK, compute_unit: { holding: '200', payg: '0.011', credit: '11000' } },
    compute_unit: SMALL_UNIT,
  },
  program_persistent: {
    price: { storage: PROGRAM_DISK, compute_unit: { holding: '1000', payg: '0.055', credit: '55000' } },
    compute_unit: UNIT,
  },
  instance: {
    price: { storage: DISK, compute_unit: { holding: '1000', payg: '0.055', credit: '14250' } },
    compute_unit: UNIT,
  },
  instance_confidential: {
    price: { storage: DISK, compute_unit: { holding: '2000', payg: '0.11', credit: '28500' } },
    compute_unit: UNIT,
  },
  instance_gpu_premium: {
    price: { storage: GPU_DISK, compute_unit: { holding: '560', payg: '0.56', credit: '86250' } },
    compute_unit: GPU_UNIT,
    tiers: [
      { model: 'A100', compute_units: 16 },
      { model: 'H100', compute_units: 24 },
    ],
  },
  instance_gpu_standard: {
    price: { storage: GPU_DISK, compute_unit: { holding: '280', payg: '0.28', credit: '43125' } },
    compute_unit: GPU_UNIT,
    tiers: [
      { model: 'RTX 4000 ADA', compute_units: 3 },
      { model: 'RTX 3090', compute_units: 4 },
      { model: 'RTX 4090', compute_units: 6 },
      { model: 'L40S', compute_units: 12 },
    ],
  },
  storage: { price: { storage: { holding: '0.333333333', credit: STORAGE_CREDIT } } },
};

/** The reference network's prices. */
export const referencePrices: PriceTable = tableSchema.parse(REFERENCE_PRICES);

/**
 * The reference network's prices with those of an aggregate `pricing` in their place, product by product. A product
 * that cannot be read keeps its price: an operator's slip must not end estimates.
 */
export function pricesFrom(aggregate: unknown): PriceTable {
  if (typeof aggregate !== 'object' || aggregate === null) return referencePrices;
  const own = Object.keys(tableSchema.shape).flatMap((product) => {
    const parsed = productSchema.safeParse(Reflect.get(aggregate, product));
    return parsed.success ? [[product, parsed.data] as const] : [];
  });
  return { ...referencePrices, ...Object.fromEntries(own) };
}
