import { deadline, orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { Machine } from '../machines/index.ts';

/** How long a broken connection may wait for word of the machine's end, which explains it, in milliseconds. */
const EXPLAIN_MS = 1000;

/** Why a connection to a machine broke: the machine's end, if it comes at once, says more than a closed connection. */
export async function explain(machine: Pick<Machine, 'ended'>, error: unknown): Promise<VmletError> {
  using limit = deadline(EXPLAIN_MS);
  const found = error instanceof Error ? error.message : String(error);
  // Awaited here: the deadline is disposed of on return.
  return await orAborted(machine.ended, limit.signal).catch(
    () => new VmletError('ANSWER_BROKEN', { operands: { found: `the connection ended (${found})` }, cause: error }),
  );
}
