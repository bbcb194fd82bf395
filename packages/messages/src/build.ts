/** Makes signed messages. */
import { itemHashOf } from './item-hash.ts';
import { checkInlineLength, readContent } from './parse.ts';
import type { ContentInput, MessageType } from './schema/contents.ts';
import { type Envelope, envelopeSchema } from './schema/envelope.ts';
import type { Signer } from './sign/signer.ts';
import { readWith } from './structure.ts';

/** A content whose `address` and `time` may be left out: the signer's address and `now` stand in. */
export type Draft<T extends MessageType> = Omit<ContentInput<T>, 'address' | 'time'> & {
  address?: string;
  time?: number;
};

/** What a message is made of. */
export interface MessageParts<T extends MessageType> {
  readonly signer: Signer;
  readonly type: T;
  readonly content: Draft<T>;
  readonly channel?: string;
  /** The time written into envelope and content; the caller reads the clock. */
  readonly now: Date;
}

/**
 * Makes an inline message: the content as compact JSON in the order given, its hash, and the signature over it.
 * An `address` other than the signer's is a message on behalf of that account and needs its permission at the node.
 * Rejects with MessageError when the content does not fit its schema, or ITEM_CONTENT_TOO_LONG past 200,000 characters.
 */
export async function buildMessage<T extends MessageType>(parts: MessageParts<T>): Promise<Envelope> {
  const { signer, type, channel } = parts;
  const time = parts.now.getTime() / 1000;
  const itemContent = JSON.stringify({ address: signer.address, time, ...parts.content });
  checkInlineLength(itemContent);
  // Read back what was written, so that what leaves here is what any node will read.
  readContent(type, JSON.parse(itemContent));
  const signable = { chain: signer.chain, sender: signer.address, type, item_hash: itemHashOf(itemContent) };
  const signature = await signer.sign(signable);
  const envelope = { ...signable, channel, time, item_type: 'inline', item_content: itemContent, signature };
  return readWith(envelopeSchema, envelope, { operand: 'message' });
}
