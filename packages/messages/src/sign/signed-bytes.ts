/** The text an account signs. */
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Envelope } from '../schema/envelope.ts';

/** The members a signature covers. */
export type Signable = Pick<Envelope, 'chain' | 'sender' | 'type' | 'item_hash'>;

/** The UTF-8 bytes a signature covers: chain, sender, type and item_hash, each on a line, no line break at the end. */
export function signedBytes(part: Signable): Uint8Array {
  return utf8ToBytes(`${part.chain}\n${part.sender}\n${part.type}\n${part.item_hash}`);
}
