import { deadline, orAborted } from '../deadline.ts';
import type { Acceptance } from '../ledger/index.ts';
import type { ApiComponents } from './components.ts';

/** HTTP status of a message's state, as the network's clients read it. */
export const HTTP_STATUS = {
  processed: 200,
  removing: 200,
  pending: 202,
  rejected: 422,
  forgotten: 410,
  removed: 410,
} as const;

/**
 * Hands a message to the ledger and, with `sync`, waits while it is pending.
 * @throws VmletError `MESSAGE_MALFORMED`, `PUBLISH_FORBIDDEN`, what the policy refuses; the signal's reason
 */
export async function publish(
  message: unknown,
  options: { components: ApiComponents; sync: boolean; signal: AbortSignal },
): Promise<Acceptance> {
  const { components, sync, signal } = options;
  const { ledger, admission, limits } = components;
  const checked = ledger.check(message);
  const { sender, item_hash: itemHash } = checked.envelope;
  admission.mayPublish(sender);
  // One that is not the sender's own must not be asked about in its name.
  if (checked.rejection === undefined) await components.policy.mayAccept(checked);
  // What is here already, and what frees space, needs none.
  if (checked.envelope.type !== 'FORGET' && ledger.get(itemHash) === undefined) await components.disk.require();
  const settled = Promise.withResolvers<void>();
  const unsubscribe = ledger.subscribe((event) => {
    if (event.itemHash === itemHash && event.type !== 'pending') settled.resolve();
  });
  try {
    const acceptance = await ledger.accept(checked);
    if (acceptance.status !== 'pending' || !sync) return acceptance;
    using limit = deadline(limits.syncMs, signal);
    try {
      await orAborted(settled.promise, limit.signal);
    } catch (error) {
      if (!limit.expired) throw error;
      return acceptance;
    }
    // The same message again is the question what became of it.
    return await ledger.accept(message);
  } finally {
    unsubscribe();
  }
}
