import { deadline } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { Executions, Lease, Runnable } from '../executions/index.ts';
import { failpoint } from '../failpoint.ts';
import { programLabel } from '../program-label.ts';
import type { Timelines } from '../timelines/index.ts';
import { cloudEvent, type WireMessage } from './cloud-event.ts';

/** What is read of a program's answer; nobody is there to see more. In bytes. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** A program that may run, and how it takes messages. */
export interface TriggerTarget extends Runnable {
  /** How long it may take for one message, in seconds. */
  seconds: number;
  /** Where messages are posted to. */
  onMessagePath: string;
}

export interface DeliverComponents {
  executions: Pick<Executions, 'acquire'>;
  /** Told how programs started. */
  timelines: Pick<Timelines, 'watch'>;
}

export interface DeliverOptions {
  /** Which try it is, from 1. */
  attempt: number;
  /** Ends the wait for a machine. */
  waiting: AbortSignal;
  /** Cuts what was sent. */
  sent: AbortSignal;
}

/**
 * Sends a message to a program, once, in the same way as a visitor's request.
 * @returns how long the program took, in milliseconds
 * @throws VmletError `TRIGGER_REFUSED` for any answer but a 2xx, `REQUEST_TIMEOUT`, why the connection broke, or why there is
 *   no machine; a signal's reason
 */
export async function deliver(
  { message, target }: { message: WireMessage; target: TriggerTarget },
  components: DeliverComponents,
  { attempt, waiting, sent }: DeliverOptions,
): Promise<number> {
  const { executions, timelines } = components;
  const { itemHash } = target;
  const { got } = await timelines.watch(itemHash, () => executions.acquire(target, waiting));
  using lease = got;
  const begun = performance.now();
  const status = await post({ message, target, attempt }, lease, sent);
  if (status < 200 || status > 299) throw new VmletError('TRIGGER_REFUSED', { operands: { status } });
  return performance.now() - begun;
}

async function post(
  { message, target, attempt }: { message: WireMessage; target: TriggerTarget; attempt: number },
  lease: Lease,
  signal: AbortSignal,
): Promise<number> {
  const { headers, body } = cloudEvent(message, { attempt });
  using limit = deadline(target.seconds * 1000, signal);
  try {
    const answer = lease.client.request({
      method: 'POST',
      path: target.onMessagePath,
      headers: { host: programLabel(target.itemHash), ...headers },
      body,
      signal: limit.signal,
    });
    const [{ statusCode, body: answered }] = await Promise.all([answer, failpoint('trigger.sent')]);
    await answered.dump({ limit: MAX_ANSWER_BYTES, signal: limit.signal });
    return statusCode;
  } catch (error) {
    signal.throwIfAborted();
    if (!limit.expired) throw await lease.explain(error);
    lease.retire();
    throw new VmletError('REQUEST_TIMEOUT', { operands: { seconds: target.seconds }, cause: error });
  }
}
