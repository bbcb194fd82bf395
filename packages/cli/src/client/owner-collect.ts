import * as z from 'zod';
import type { OwnerClient } from './owner.ts';

const collectionSchema = z.object({
  dryRun: z.boolean(),
  files: z.number(),
  freedBytes: z.number(),
  codeImages: z.number(),
  waitingFiles: z.number(),
  waitingBytes: z.number(),
  heldFiles: z.number(),
  heldBytes: z.number(),
});

/** What a collection came to, or would with `dryRun`. */
export type Collection = z.output<typeof collectionSchema>;

/** Has the node remove files that nothing needs and whose grace has passed. */
export async function collectFiles(
  owner: OwnerClient,
  { dryRun, signal }: { dryRun: boolean; signal: AbortSignal },
): Promise<Collection> {
  const query = dryRun ? '?dryRun=true' : '';
  return await owner.ask('POST', `/gc${query}`, { schema: collectionSchema, signal });
}
