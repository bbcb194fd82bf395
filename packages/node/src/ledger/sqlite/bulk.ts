import { VmletError } from '../../errors.ts';
import { type Examined, examine } from '../check/examine.ts';
import type { BulkResult } from '../log.ts';
import type { State } from './intake.ts';

/** So many are read, verified and committed before the next ones are asked for. */
const CHUNK = 2000;
/** Of what cannot be read at all, so many are told one by one. */
const MAX_FAULTS = 100;

/** Takes many messages in, in the order they come. */
export async function loadInBulk(
  messages: Iterable<unknown> | AsyncIterable<unknown>,
  { verified, take }: { verified: boolean; take: (chunk: Examined[]) => Promise<State[]> },
): Promise<BulkResult> {
  const counts = { pending: 0, processed: 0, rejected: 0, forgotten: 0, removing: 0, removed: 0 };
  const malformed: { index: number; cause: string }[] = [];
  let [count, faults] = [0, 0];
  for await (const chunk of chunksOf(messages)) {
    const examined = chunk.flatMap((message, index) => {
      try {
        return examine(message, { verified });
      } catch (error) {
        if (!(error instanceof VmletError)) throw error;
        faults += 1;
        if (malformed.length < MAX_FAULTS) malformed.push({ index: count + index, cause: error.message });
        return [];
      }
    });
    count += chunk.length;
    for (const { status } of await take(examined)) counts[status] += 1;
  }
  return { ...counts, malformed: faults, faults: malformed };
}

async function* chunksOf(messages: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<unknown[]> {
  let chunk: unknown[] = [];
  for await (const message of messages) {
    chunk.push(message);
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
