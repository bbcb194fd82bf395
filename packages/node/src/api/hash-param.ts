import type { FileHash, ItemHash } from '@vmlet/messages';
import { fileHashSchema, itemHashSchema } from '@vmlet/messages/schema';
import type { FastifyRequest } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';

/** The path of such a route, for the document of the API. */
export const hashParams = z.object({ hash: z.string() });

/** A route with one hash in its path. */
export interface HashRoute {
  Params: { hash: string };
}

/**
 * Reads the item_hash in the path.
 * @throws VmletError `HASH_MALFORMED`
 */
export function itemHashParam({ params }: FastifyRequest<HashRoute>): ItemHash {
  const parsed = itemHashSchema.safeParse(params.hash);
  if (!parsed.success) throw new VmletError('HASH_MALFORMED', { operands: { hash: params.hash } });
  return parsed.data;
}

/**
 * Reads the file_hash in the path.
 * @throws VmletError `HASH_MALFORMED`
 */
export function fileHashParam({ params }: FastifyRequest<HashRoute>): FileHash {
  const parsed = fileHashSchema.safeParse(params.hash);
  if (!parsed.success) throw new VmletError('HASH_MALFORMED', { operands: { hash: params.hash } });
  return parsed.data;
}
