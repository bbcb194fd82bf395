/** Reads messages in the form an API answers them in, which is wider than the form they are broadcast in. */
import * as z from 'zod';
import { checkItemContent, parseContent, readContent } from './parse.ts';
import type { ContentOf, MessageType } from './schema/contents.ts';
import { type Envelope, envelopeSchema } from './schema/envelope.ts';
import { optional, timeSchema } from './schema/members.ts';
import { solSignatureSchema } from './sign/sol.ts';
import { readWith } from './structure.ts';

const confirmationSchema = z.object({ chain: z.string(), height: z.int(), hash: z.string() });

const isoTime = z.iso.datetime({ offset: true, local: true }).transform(secondsOf).pipe(timeSchema);

/** Pending messages carry an ISO time; without a zone it is UTC. */
function secondsOf(text: string): number {
  return Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`) / 1000;
}

const rowSchema = z.object({
  ...envelopeSchema.shape,
  time: z.union([timeSchema, isoTime]),
  signature: z.union([z.string(), solSignatureSchema.transform((signature) => JSON.stringify(signature))]),
  content: optional(z.record(z.string(), z.unknown())),
  confirmations: optional(z.array(confirmationSchema)),
});

/** A message as an API knows it. */
export interface ApiMessage {
  /** The broadcast form, with `item_content` absent where the API leaves it out. */
  readonly envelope: Envelope;
  /** The content once read; undefined when the answer has none, as for a forgotten message. */
  readonly content: ContentOf<MessageType> | undefined;
  /** The chain transactions that confirm the message. */
  readonly confirmations: readonly z.output<typeof confirmationSchema>[];
}

/**
 * Reads a message as an API answers it. Wider than `parseEnvelope`: unknown members are dropped, null means absent
 * wherever a member may be absent, `time` may be an ISO text, a Solana `signature` may be the object instead of its
 * text, and `item_content` may be missing. Where it is there, it must hash to `item_hash` and is what the content is
 * read from; otherwise `content` is, on the API's word. Throws MessageError.
 */
export function readApiMessage(value: unknown): ApiMessage {
  const { content, confirmations, ...envelope } = readWith(rowSchema, value, { operand: 'message' });
  checkItemContent(envelope);
  const text = envelope.item_content;
  return {
    envelope,
    content: text !== undefined ? parseContent(envelope.type, text) : content && readContent(envelope.type, content),
    confirmations: confirmations ?? [],
  };
}
