/** EIP-191 text signatures and EIP-55 addresses. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Address } from '../schema/hashes.ts';
import type { Engines } from './engine.ts';

const SIGNATURE_HEX = /^(?:0x)?([0-9a-fA-F]{130})$/;
/** Digits of one 32-byte number. */
const NUMBER_DIGITS = 64;
const ORDER = secp256k1.Point.Fn.ORDER.toString(16);
const HALF_ORDER = (secp256k1.Point.Fn.ORDER >> 1n).toString(16).padStart(NUMBER_DIGITS, '0');

/** The 32 bytes that `personal_sign` signs for `text`. */
function textDigest(text: Uint8Array): Uint8Array {
  return keccak_256(concatBytes(utf8ToBytes(`\x19Ethereum Signed Message:\n${text.length}`), text));
}

/** Writes a lowercase or mixed-case `0x` address with the letter case of EIP-55, which is its checksum. */
export function checksumAddress(address: string): Address {
  const digits = address.slice(2).toLowerCase();
  const digest = bytesToHex(keccak_256(utf8ToBytes(digits)));
  const cased = Array.from(digits, (digit, i) =>
    Number.parseInt(digest.charAt(i), 16) >= 8 ? digit.toUpperCase() : digit,
  );
  return `0x${cased.join('')}` as Address;
}

/** The address of an uncompressed public key (65 bytes). */
export function evmAddressOf(publicKey: Uint8Array): Address {
  return checksumAddress(lowercaseAddressOf(publicKey));
}

function lowercaseAddressOf(publicKey: Uint8Array): string {
  return `0x${bytesToHex(keccak_256(publicKey.subarray(1)).subarray(12))}`;
}

/** Signs `text` as `personal_sign` does: 65 bytes r, s, v in hex with `0x`, v 27 or 28, s in the lower half. */
export function signText(text: Uint8Array, privateKey: Uint8Array): string {
  const signed = secp256k1.sign(textDigest(text), privateKey, { prehash: false, format: 'recovered' });
  const v = 27 + (signed[0] ?? 0);
  return `0x${bytesToHex(signed.subarray(1))}${v.toString(16)}`;
}

/** What a signature says: who made it, in lowercase, or why it says nothing. */
type Recovered = { address: string } | { fault: 'malformed' | 'malleable' | 'unrecoverable' };

/** Finds the account that made a 65-byte signature over `text`. v may be 27, 28, 0 or 1; `0x` may be missing. */
export function recoverAddress(text: Uint8Array, signature: string, { recover }: Pick<Engines, 'recover'>): Recovered {
  const digits = SIGNATURE_HEX.exec(signature)?.[1]?.toLowerCase();
  if (digits === undefined) return { fault: 'malformed' };
  const v = Number.parseInt(digits.slice(2 * NUMBER_DIGITS), 16);
  const recovery = v >= 27 ? v - 27 : v;
  if (recovery !== 0 && recovery !== 1) return { fault: 'malformed' };
  const s = digits.slice(NUMBER_DIGITS, 2 * NUMBER_DIGITS);
  // (r, n - s) signs the same text: taking both would let anyone make a second signature out of the first.
  if (s > HALF_ORDER && s < ORDER) return { fault: 'malleable' };
  const publicKey = recover(hexToBytes(digits.slice(0, 2 * NUMBER_DIGITS)), textDigest(text), recovery);
  return publicKey === undefined ? { fault: 'unrecoverable' } : { address: lowercaseAddressOf(publicKey) };
}
