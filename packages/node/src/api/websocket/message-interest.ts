import { sameAddress } from '@vmlet/messages/schema';
import type { AnyProcessedMessage } from '../../ledger/index.ts';
import type { Interest } from './hub.ts';
import type { MessageSubscription } from './subscription.ts';

/** What of a content the filters look at; most types have few of these members. */
interface Filtered {
  ref?: unknown;
  type?: unknown;
  key?: unknown;
  item_hash?: unknown;
  payment?: { type?: unknown } | undefined;
  content?: unknown;
}

/** The live messages that a subscription is for: the same ones that a list with its filters would show. */
export function interestIn(subscription: MessageSubscription): Interest<AnyProcessedMessage> {
  const { history: _history, ...filters } = subscription;
  return {
    key: JSON.stringify(filters),
    form: filters.excludeContent ? 'headers' : 'full',
    matches: (message) => envelopeMatches(message, subscription) && contentMatches(message, subscription),
  };
}

function envelopeMatches(message: AnyProcessedMessage, wanted: MessageSubscription): boolean {
  const { envelope, content } = message;
  const { startDate, endDate } = wanted;
  // Nothing here is confirmed on a chain, so no message is within any bounds of blocks.
  if (wanted.startBlock > 0 || wanted.endBlock > 0) return false;
  return (
    isIn(wanted.msgStatuses, 'processed') &&
    isIn(wanted.msgType, envelope.type) &&
    isIn(wanted.msgTypes, envelope.type) &&
    isIn(wanted.chains, envelope.chain) &&
    isIn(wanted.channels, envelope.channel) &&
    isIn(wanted.hashes, envelope.item_hash) &&
    (wanted.addresses?.some((one) => sameAddress(one, envelope.sender)) ?? true) &&
    (wanted.owners?.some((one) => sameAddress(one, content.address)) ?? true) &&
    envelope.time >= startDate &&
    (endDate === 0 || envelope.time < endDate)
  );
}

function contentMatches(message: AnyProcessedMessage, wanted: MessageSubscription): boolean {
  const content: object & Filtered = { ...message.content };
  return (
    isIn(wanted.refs, content.ref) &&
    isIn(wanted.contentTypes, content.type) &&
    isIn(wanted.contentKeys, nameOf(content.key)) &&
    isIn(wanted.contentHashes, content.item_hash) &&
    isIn(wanted.paymentTypes, content.payment?.type) &&
    (wanted.tags === undefined || tagsOf(content.content).some((tag) => isIn(wanted.tags, tag)))
  );
}

/** What is not asked for, anything matches. */
function isIn(wanted: readonly string[] | undefined, found: unknown): boolean {
  return wanted === undefined || (typeof found === 'string' && wanted.includes(found));
}

/** The key of an AGGREGATE has two forms. */
function nameOf(key: unknown): unknown {
  return typeof key === 'object' && key !== null && 'name' in key ? key.name : key;
}

function tagsOf(content: unknown): unknown[] {
  if (typeof content !== 'object' || content === null || !('tags' in content)) return [];
  return Array.isArray(content.tags) ? content.tags : [];
}
