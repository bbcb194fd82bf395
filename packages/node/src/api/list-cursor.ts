import * as z from 'zod';
import type { ListKey } from '../ledger/query/index.ts';
import { malformedParam } from './query-params.ts';

const MAX_HASH_CHARS = 128;
const MAX_CURSOR_CHARS = 1024;

// h and t are what the network's cursors have; s is the same time to the last bit, which ISO 8601 has not.
const cursorSchema = z.object({
  h: z.string().max(MAX_HASH_CHARS),
  t: z.iso.datetime({ offset: true }),
  s: z.number().min(0).optional(),
});

/** Where the next stretch of a list starts, as clients hand it back. */
export function writeCursor({ sort, hash }: ListKey): string {
  return Buffer.from(JSON.stringify({ h: hash, t: new Date(sort * 1000).toISOString(), s: sort })).toString(
    'base64url',
  );
}

/**
 * Reads one; empty is the start of the list.
 * @throws VmletError `API_QUERY_MALFORMED`
 */
export function readCursor(text: string): ListKey | undefined {
  if (text === '') return undefined;
  const parsed = cursorSchema.safeParse(text.length > MAX_CURSOR_CHARS ? undefined : parsedJson(text));
  if (!parsed.success)
    throw malformedParam('cursor', { found: text, wanted: 'a next_cursor, or nothing for the start' });
  const { h: hash, t, s } = parsed.data;
  return { hash, sort: s ?? Date.parse(t) / 1000 };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return undefined;
  }
}
