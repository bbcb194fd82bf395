import { createHash } from 'node:crypto';

/**
 * The DNS label of a program: the base32 of its item_hash, as the reference network has it. It is the first label of
 * its URL's host and the name of its machine. A CID does not fit a label, so its SHA-256 stands for it.
 */
export function programLabel(itemHash: string): string {
  const bytes = /^[0-9a-f]{64}$/.test(itemHash)
    ? Buffer.from(itemHash, 'hex')
    : createHash('sha256').update(itemHash).digest();
  return base32(bytes);
}

/** The item_hash that a label stands for; undefined if it is no label of a program. */
export function itemHashOfLabel(label: string): string | undefined {
  const bytes = label.length === LABEL_CHARACTERS ? fromBase32(label) : undefined;
  // The last character has bits to spare: only one spelling is the name of a program.
  if (!bytes || base32(bytes) !== label.toLowerCase()) return undefined;
  return Buffer.from(bytes).toString('hex');
}

/** Of 32 bytes. */
const LABEL_CHARACTERS = 52;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** RFC 4648 base32, lower case, without padding: 52 characters for 32 bytes. */
function base32(bytes: Uint8Array): string {
  let bits = 0;
  let value = 0;
  let text = '';
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += BASE32[(value >>> (bits - 5)) & 31];
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + BASE32[(value << (5 - bits)) & 31] : text;
}

/** The bytes of a base32 label; undefined if it is none. */
function fromBase32(text: string): Uint8Array | undefined {
  let bits = 0;
  let value = 0;
  const bytes: number[] = [];
  for (const character of text.toLowerCase()) {
    const digit = BASE32.indexOf(character);
    if (digit < 0) return undefined;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >>> bits) & 0xff);
    }
  }
  return Uint8Array.from(bytes);
}
