import * as z from 'zod';
import type { OwnerClient } from './owner.ts';

/** One step of a start. */
export const phaseSchema = z.object({ name: z.string(), ms: z.number() });

const startSchema = z.object({
  askedMs: z.number(),
  from: z.string(),
  steps: z.array(phaseSchema),
  totalMs: z.number(),
});

/** How one machine of a program came to answer. */
export type Start = z.output<typeof startSchema>;

const startsSchema = z.object({
  itemHash: z.string(),
  /** The latest first. */
  starts: z.array(startSchema),
  /** The last one, if that came to nothing. */
  failed: z.object({ timeMs: z.number(), code: z.string(), message: z.string() }).nullable(),
  /** What would have made the latest one faster. */
  advice: z.array(z.object({ code: z.string(), text: z.string() })),
});

/** How a program has started since its node did. */
export type Starts = z.output<typeof startsSchema>;

/** Asks how a program has started. */
export async function startsOf(owner: OwnerClient, itemHash: string, signal: AbortSignal): Promise<Starts> {
  return await owner.ask('GET', `/programs/${itemHash}/starts`, { schema: startsSchema, signal });
}

/** All steps of a start together, in milliseconds. */
export function sumMs(steps: readonly z.output<typeof phaseSchema>[]): number {
  return steps.reduce((sum, { ms }) => sum + ms, 0);
}
