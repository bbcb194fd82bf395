import type { Envelope } from '@vmlet/messages';
import { type ContentOf, type MessageType, sameAddress } from '@vmlet/messages/schema';
import { NetworkCode } from '../codes.ts';
import type { Reason } from '../reason.ts';

/** The key of the aggregate in which an address says who may write in its name. */
export const SECURITY_KEY = 'security';

/** What a sender does in the name of an address: it writes a message, or undoes one. */
export interface Deed {
  /** In whose name. */
  readonly address: string;
  readonly type: MessageType;
  readonly channel: string | undefined;
  /** The type of a POST, the key of an AGGREGATE; undefined where it is not known or of no meaning. */
  readonly topic: string | undefined;
}

/** Who does it: the members of an envelope that tell. */
export type Doer = Pick<Envelope, 'sender' | 'chain'>;

/**
 * Why this sender may not do that; undefined if it may: it is the address, or the owner's aggregate "security" has an
 * authorization all of whose filters match. What that aggregate says is for its owner alone to write.
 *
 * @param security reads the content of the aggregate "security" of an address
 */
export function notPermitted(doer: Doer, deed: Deed, security: (owner: string) => unknown): Reason | undefined {
  if (sameAddress(doer.sender, deed.address)) return undefined;
  const who = `Cannot write as '${deed.address}': signed by '${doer.sender}'`;
  if (deed.type === 'AGGREGATE' && deed.topic === SECURITY_KEY) {
    return refusal(`${who}, expected the address itself for the key '${SECURITY_KEY}'`);
  }
  const granted = authorizationsIn(security(deed.address)).some((entry) => grants(entry, doer, deed));
  if (granted) return undefined;
  return refusal(`${who}, expected the address itself or one that its aggregate '${SECURITY_KEY}' authorizes for this`);
}

/** What a content does as far as permissions ask. `topic` of an amend is that of its original, for the caller to say. */
export function deedOf(
  envelope: Pick<Envelope, 'type' | 'channel'>,
  content: ContentOf<MessageType>,
  amended?: { topic: string | undefined },
): Deed {
  const { type, channel } = envelope;
  const own = topicOf(content);
  const topic = type === 'POST' && own === 'amend' ? amended?.topic : own;
  return { address: content.address, type, channel, topic };
}

/** The type of a POST, the key of an AGGREGATE. */
export function topicOf(content: ContentOf<MessageType>): string | undefined {
  if ('key' in content) return typeof content.key === 'string' ? content.key : content.key.name;
  // A program has a type, too, and only one.
  return 'type' in content && 'content' in content ? content.type : undefined;
}

function refusal(fault: string): Reason {
  return { code: NetworkCode.PERMISSION, errors: [fault] };
}

/** One written in another form grants nothing. */
function authorizationsIn(security: unknown): Record<string, unknown>[] {
  const list = isObject(security) ? security.authorizations : undefined;
  return Array.isArray(list) ? list.filter(isObject) : [];
}

function grants(entry: Record<string, unknown>, doer: Doer, deed: Deed): boolean {
  if (typeof entry.address !== 'string' || !sameAddress(entry.address, doer.sender)) return false;
  if (isGiven(entry.chain) && entry.chain !== doer.chain) return false;
  if (!admits(entry.channels, deed.channel) || !admits(entry.types, deed.type)) return false;
  if (deed.type === 'POST') return admits(entry.post_types, deed.topic);
  if (deed.type === 'AGGREGATE') return admits(entry.aggregate_keys, deed.topic);
  return true;
}

/** An empty list is no filter: writers of the reference network mean "all" by it. What is no list admits nothing. */
function admits(filter: unknown, value: string | undefined): boolean {
  if (!isGiven(filter)) return true;
  return Array.isArray(filter) && (filter.length === 0 || filter.includes(value));
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
