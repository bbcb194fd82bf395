import { type Envelope, MessageError, parseContent, parseEnvelope, verifySignature } from '@vmlet/messages';
import { type ContentOf, type MessageType, sameAddress } from '@vmlet/messages/schema';
import { VmletError } from '../../errors.ts';
import { NetworkCode } from '../codes.ts';
import type { CheckedMessage } from '../log.ts';
import type { Reason } from '../reason.ts';

/**
 * Reads a message and checks all that it alone can tell: form, hash, signature, permission.
 * @throws VmletError `MESSAGE_MALFORMED`
 */
export function examine(message: unknown): CheckedMessage {
  const envelope = structural(() => parseEnvelope(message));
  const text = envelope.item_content;
  const content = text === undefined ? undefined : structural(() => parseContent(envelope.type, text));
  const rejection = badSignature(envelope) ?? (content && notPermitted(envelope, content));
  return { envelope, content, rejection };
}

/** Why this sender may not write in that name; undefined if it may. Delegation comes with AGGREGATE `security`. */
export function notPermitted(envelope: Envelope, content: ContentOf<MessageType>): Reason | undefined {
  if (sameAddress(envelope.sender, content.address)) return undefined;
  const fault = `Cannot write as '${content.address}': signed by '${envelope.sender}', expected the address itself`;
  return { code: NetworkCode.PERMISSION, errors: [fault] };
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
