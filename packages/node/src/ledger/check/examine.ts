import { type Envelope, MessageError, parseContent, parseEnvelope, verifySignature } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';
import { VmletError } from '../../errors.ts';
import { NetworkCode } from '../codes.ts';
import type { Reason } from '../reason.ts';

/** A message as read: its form and hash are right. */
export interface Examined {
  readonly envelope: Envelope;
  /** The parsed content of an inline message. */
  readonly content: ContentOf<MessageType> | undefined;
  /** Set if the sender did not sign it. */
  readonly unsigned: Reason | undefined;
}

/**
 * Reads a message and checks all that it alone can tell: form, hash, signature.
 * @param options `verified` if its signature was checked already
 * @throws VmletError `MESSAGE_MALFORMED`
 */
export function examine(message: unknown, { verified = false }: { verified?: boolean } = {}): Examined {
  const envelope = compact(structural(() => parseEnvelope(message)));
  const text = envelope.item_content;
  const content = text === undefined ? undefined : structural(() => parseContent(envelope.type, text));
  return { envelope, content, unsigned: verified ? undefined : badSignature(envelope) };
}

/** Without members that stand there and are undefined, as null becomes in reading: so it is told as it is kept. */
function compact({ channel, item_content, ...envelope }: Envelope): Envelope {
  return {
    ...envelope,
    ...(item_content === undefined ? {} : { item_content }),
    ...(channel === undefined ? {} : { channel }),
  };
}

function badSignature(envelope: Envelope): Reason | undefined {
  const verification = verifySignature(envelope);
  return verification.ok ? undefined : { code: NetworkCode.SIGNATURE, errors: [verification.reason] };
}

function structural<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    throw new VmletError('MESSAGE_MALFORMED', { operands: { cause: error.message }, cause: error });
  }
}
