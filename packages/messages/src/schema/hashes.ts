/** Names of things: messages, files, and the accounts that sign. */
import * as z from 'zod';

/** SHA-256 in lowercase hex, CIDv0 (`Qm`, base58btc) or CIDv1 dag-pb (`bafy`, base32). Raw leaves (`bafk`) do not match. */
const SHA256_HEX = /^[0-9a-f]{64}$/;
const CID = /^(?:Qm[1-9A-HJ-NP-Za-km-z]{42,44}|bafy[a-z2-7]{55})$/;
const HASH_WANTED = '64 lowercase hex digits, a CIDv0 "Qm…" or a CIDv1 "bafy…"';

/** True for a hash that names content on IPFS, false for one that names plain bytes by their SHA-256. */
export function isCid(hash: string): boolean {
  return CID.test(hash);
}

const anyHash = z.string().refine((text) => SHA256_HEX.test(text) || CID.test(text), { error: HASH_WANTED });

/** Reads the name of a message. */
export const itemHashSchema = anyHash.brand<'ItemHash'>();

/** The name of a message. Never interchangeable with the name of the bytes it stores. */
export type ItemHash = z.output<typeof itemHashSchema>;

/** Reads the name of a file's bytes. */
export const fileHashSchema = anyHash.brand<'FileHash'>();

/** The name of bytes: their SHA-256, or their CID where they came from IPFS. */
export type FileHash = z.output<typeof fileHashSchema>;

/**
 * Reads an account's address on any chain: 1 to 128 printable ASCII characters. Line breaks would let one
 * sender's signed text read as another's, so they are refused here.
 */
export const addressSchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, { error: '1 to 128 printable ASCII characters without spaces' })
  .brand<'Address'>();

/** An account's address, in the letter case it was written in; compare with `sameAddress`. */
export type Address = z.output<typeof addressSchema>;

const EVM_ADDRESS = /^0x[0-9a-fA-F]{40}$/;

/** True for `0x` and 40 hex digits in any case. */
export function isEvmAddress(address: string): boolean {
  return EVM_ADDRESS.test(address);
}

/** Compares two addresses: EVM ones without regard to case, all others exactly (base58 is case-sensitive). */
export function sameAddress(a: string, b: string): boolean {
  return a === b || (isEvmAddress(a) && isEvmAddress(b) && a.toLowerCase() === b.toLowerCase());
}
