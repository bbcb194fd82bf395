import * as z from 'zod';

const blockEntrySchema = z.object({ what: z.string(), reason: z.string() });

/** What a node has nothing to do with, and why. */
export type BlockEntry = z.output<typeof blockEntrySchema>;

/** The answer to each request about the block list. */
export const blocksSchema = z.object({ entries: z.array(blockEntrySchema), removed: z.boolean().default(false) });
