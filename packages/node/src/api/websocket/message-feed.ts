import type { Envelope } from '@vmlet/messages';
import { asVmletError, type VmletError } from '../../errors.ts';
import type { AnyProcessedMessage, Ledger } from '../../ledger/index.ts';
import { selectionOf } from '../message-filter.ts';
import { readParams } from '../query-params.ts';
import { textFrame } from './frame.ts';
import { Hub } from './hub.ts';
import type { WebSocketLimits } from './limits.ts';
import { interestIn } from './message-interest.ts';
import type { Frame, Subscriber } from './subscriber.ts';
import { type MessageSubscription, subscriptionSchema } from './subscription.ts';

export interface MessageFeedComponents {
  ledger: Pick<Ledger, 'get' | 'subscribe'>;
  /** The newest messages in force that match, newest first, as item_hashes. */
  recent: (wanted: MessageSubscription, options: { limit: number }) => readonly string[];
  /** Told of a failure that no client can be told of. */
  onFailure: (failure: { error: VmletError; method: string; url: string }) => void;
}

/** Who is told of messages as they come into force. */
export interface MessageFeed extends Disposable {
  readonly size: number;
  close(code: number, reason: string): void;
  /** Reads what a client asks for. @throws VmletError `API_QUERY_MALFORMED` */
  prepare(query: object): (subscriber: Subscriber) => void;
}

/** Follows a ledger. */
export function openMessageFeed(components: MessageFeedComponents, limits: WebSocketLimits): MessageFeed {
  const { ledger, recent, onFailure } = components;
  const onHistoryFailure = (error: unknown) =>
    onFailure({ error: asVmletError(error), method: 'WebSocket', url: '/api/ws0/messages' });
  const hub = new Hub<AnyProcessedMessage>({
    limits,
    encode: (message, form) => frameOf(message, { withContent: form === 'full' }),
  });
  const unsubscribe = ledger.subscribe((event) => {
    if (event.type === 'processed') hub.tell(event.message);
  });
  return {
    get size() {
      return hub.size;
    },
    close: (code, reason) => hub.close(code, reason),
    prepare(query) {
      const wanted = readParams(subscriptionSchema, query);
      // What does not go together is refused here, before the connection switches.
      selectionOf(wanted);
      const interest = interestIn(wanted);
      return (subscriber) => {
        const hashes = wanted.history === 0 ? [] : recent(wanted, { limit: wanted.history });
        hub.join(subscriber, interest);
        const earlier = framesOf(hashes.toReversed(), { ledger, withContent: !wanted.excludeContent });
        subscriber.sendFirst(earlier).catch(onHistoryFailure);
      };
    },
    [Symbol.dispose]() {
      unsubscribe();
      hub[Symbol.dispose]();
    },
  };
}

/** Each is read when it is to be sent: two hundred messages may be long, and their reader slow. */
function* framesOf(
  hashes: readonly string[],
  { ledger, withContent }: Pick<MessageFeedComponents, 'ledger'> & { withContent: boolean },
): Generator<Frame> {
  for (const itemHash of hashes) {
    const found = ledger.get(itemHash);
    if (found?.status !== 'processed') continue;
    const { content, confirmed: _confirmed, confirmations: _confirmations, ...envelope } = found.message;
    yield frame(itemHash, { envelope, content: withContent ? content : undefined });
  }
}

function frameOf(
  { itemHash, envelope, content }: AnyProcessedMessage,
  { withContent }: { withContent: boolean },
): Frame {
  return frame(itemHash, { envelope, content: withContent ? content : undefined });
}

function frame(itemHash: string, { envelope, content }: { envelope: Partial<Envelope>; content: unknown }): Frame {
  const message = {
    ...envelope,
    // Members that a message may lack are told as null.
    ...{ channel: envelope.channel ?? null, item_content: envelope.item_content ?? null },
    ...{ content, confirmed: false, confirmations: [] },
  };
  return { itemHash, bytes: textFrame(JSON.stringify(message)) };
}
