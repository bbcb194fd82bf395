import { itemHashOf, MessageError, parseContent } from '@vmlet/messages';
import { type MessageType, sameAddress } from '@vmlet/messages/schema';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { ProgramKey } from '../keys/index.ts';

/** What a program may say in its own name. One that published programs would be an owner, whom nobody has admitted. */
const SIGNED_TYPES = ['POST', 'AGGREGATE', 'STORE', 'FORGET'] as const satisfies readonly MessageType[];

const draftSchema = z.object({
  type: z.enum(SIGNED_TYPES),
  chain: z.literal('ETH').nullish(),
  sender: z.string().nullish(),
  channel: z.string().max(128).nullish(),
  time: z.number().nonnegative().nullish(),
  item_type: z.literal('inline').nullish(),
  item_hash: z.string().nullish(),
  item_content: z.string(),
});

/** A message as the network takes it. */
export interface SignedMessage {
  chain: 'ETH';
  sender: string;
  type: (typeof SIGNED_TYPES)[number];
  channel: string | null;
  time: number;
  item_type: 'inline';
  item_hash: string;
  item_content: string;
  signature: string;
}

/**
 * Signs a message with the program's own key. What is left out of the envelope is filled in; what is there must be the
 * program's: its address as sender and as the content's, and the hash of that very content.
 * @throws VmletError `SIGN_REFUSED`, which names the member at fault; `MESSAGE_MALFORMED` for the content
 */
export async function signMessage(value: unknown, { signer }: ProgramKey): Promise<SignedMessage> {
  const draft = draftSchema.safeParse(value);
  if (!draft.success) throw refusedBySchema(draft.error);
  const { type, channel, time, item_content: text, ...given } = draft.data;
  const { address } = signer;
  if (typeof given.sender === 'string' && !sameAddress(given.sender, address)) {
    throw refused('sender', `"${given.sender.slice(0, 128)}"`, `"${address}"`);
  }
  const itemHash = itemHashOf(text);
  if (typeof given.item_hash === 'string' && given.item_hash !== itemHash) {
    throw refused('item_hash', `"${given.item_hash.slice(0, 128)}"`, `the SHA-256 of item_content, "${itemHash}"`);
  }
  const content = readContent(type, text);
  if (!sameAddress(content.address, address)) {
    throw refused('item_content.address', `"${content.address.slice(0, 128)}"`, `"${address}"`);
  }
  const signable = { chain: 'ETH' as const, sender: address, type, item_hash: itemHash };
  const signature = await signer.sign(signable);
  const rest = { channel: channel ?? null, time: time ?? content.time, item_type: 'inline' as const };
  return { ...signable, ...rest, item_content: text, signature };
}

function readContent(type: MessageType, text: string) {
  try {
    return parseContent(type, text);
  } catch (cause) {
    if (!(cause instanceof MessageError)) throw cause;
    throw new VmletError('MESSAGE_MALFORMED', { operands: { cause: cause.message }, cause });
  }
}

function refusedBySchema({ issues: [issue] }: z.ZodError): VmletError {
  const path = issue?.path.join('.') || 'message';
  return refused(path, issue?.message ?? 'unfit', `a message of a program (${SIGNED_TYPES.join(', ')}), inline`);
}

function refused(path: string, found: string, expected: string): VmletError {
  return new VmletError('SIGN_REFUSED', { operands: { path, found, expected } });
}
