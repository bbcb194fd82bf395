import * as z from 'zod';

/** What the network API answers to what something costs. */
export const priceSchema = z.object({
  payment_type: z.enum(['hold', 'superfluid', 'credit']),
  cost: z.string(),
  charged_address: z.string(),
  detail: z.array(
    z.object({
      type: z.string(),
      name: z.string(),
      cost_hold: z.string(),
      cost_stream: z.string(),
      cost_credit: z.string(),
      size_mib: z.number().nullable(),
    }),
  ),
});

/** A price, and what it is made of. */
export type Price = z.output<typeof priceSchema>;
