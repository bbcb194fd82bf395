/** The name of an inline message. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { ItemHash } from './schema/hashes.ts';

/**
 * SHA-256 in lowercase hex over the UTF-8 bytes of `itemContent` exactly as it is. Never parse and write the text again
 * before hashing: key order, spaces and number forms belong to the name.
 */
export function itemHashOf(itemContent: string): ItemHash {
  return bytesToHex(sha256(utf8ToBytes(itemContent))) as ItemHash;
}
