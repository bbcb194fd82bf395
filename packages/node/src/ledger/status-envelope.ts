import type { Envelope, ItemHash } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';
import type { Reason } from './reason.ts';

/** Members each state of a message has in common; `reception_time` is ISO 8601 in UTC. */
interface StatusMembers {
  item_hash: ItemHash;
  reception_time: string;
}

/** What is left of a forgotten message. */
type Skeleton = Omit<Envelope, 'item_content'>;

/** A message as the network tells it once it is in force. */
export interface WireMessage extends Envelope {
  content: ContentOf<MessageType>;
  confirmed: boolean;
  confirmations: { chain: string; height: number; hash: string }[];
}

/** The network's answer to "what became of this message". Pending ones also say what they wait for. */
export type StatusEnvelope =
  | (StatusMembers & { status: 'pending'; messages: PendingMessage[]; error_code: number; details: Details })
  | (StatusMembers & { status: 'processed'; message: WireMessage })
  | (StatusMembers & { status: 'rejected'; message: Envelope; error_code: number; details: Details })
  | (StatusMembers & { status: 'forgotten'; message: Skeleton; forgotten_by: ItemHash[] })
  | (StatusMembers & { status: 'removing'; message: WireMessage; reason: string })
  | (StatusMembers & { status: 'removed'; message: Skeleton; reason: string; removed_at: string });

/** The faults in words. */
interface Details {
  errors: string[];
}

/** A pending message: the network writes its time as ISO 8601. */
type PendingMessage = Omit<Envelope, 'time'> & { time: string; reception_time: string };

/** What the index knows of a message. */
export interface KnownMessage {
  envelope: Envelope;
  receivedMs: number;
  reason: Reason | undefined;
}

/** Writes the state of a pending message. */
export function pendingEnvelope(known: KnownMessage): StatusEnvelope {
  const { envelope } = known;
  const members = membersOf(known);
  const time = new Date(envelope.time * 1000).toISOString();
  const message = { ...envelope, time, reception_time: members.reception_time };
  return { status: 'pending', ...members, messages: [message], ...faults(known.reason) };
}

/** Writes the state of a rejected message. */
export function rejectedEnvelope(known: KnownMessage): StatusEnvelope {
  return { status: 'rejected', ...membersOf(known), message: known.envelope, ...faults(known.reason) };
}

/** Writes the state of a message in force. */
export function processedEnvelope(known: KnownMessage, content: ContentOf<MessageType>): StatusEnvelope {
  return { status: 'processed', ...membersOf(known), message: wireMessage(known, content) };
}

/** Writes the state of a message that this node is about to give up. */
export function removingEnvelope(
  known: KnownMessage,
  { content, reason }: { content: ContentOf<MessageType>; reason: string },
): StatusEnvelope {
  return { status: 'removing', ...membersOf(known), message: wireMessage(known, content), reason };
}

/** Writes the state of a message that this node has given up. */
export function removedEnvelope(
  known: KnownMessage,
  { removedMs, reason }: { removedMs: number; reason: string },
): StatusEnvelope {
  const members = { ...membersOf(known), message: skeletonOf(known), reason };
  return { status: 'removed', ...members, removed_at: new Date(removedMs).toISOString() };
}

/** Writes the state of a forgotten message. */
export function forgottenEnvelope(known: KnownMessage, forgottenBy: ItemHash[]): StatusEnvelope {
  return { status: 'forgotten', ...membersOf(known), message: skeletonOf(known), forgotten_by: forgottenBy };
}

function wireMessage({ envelope }: KnownMessage, content: ContentOf<MessageType>): WireMessage {
  return { ...envelope, content, confirmed: false, confirmations: [] };
}

function skeletonOf({ envelope }: KnownMessage): Skeleton {
  const { item_content: _gone, ...message } = envelope;
  return message;
}

function membersOf(known: KnownMessage): StatusMembers {
  return { item_hash: known.envelope.item_hash, reception_time: new Date(known.receivedMs).toISOString() };
}

function faults(reason: Reason | undefined) {
  return { error_code: reason?.code ?? -1, details: { errors: [...(reason?.errors ?? [])] } };
}
