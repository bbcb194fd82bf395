/** Ed25519 signatures in the JSON form Solana accounts use. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { base58 } from '@scure/base';
import * as z from 'zod';
import type { Engines } from './engine.ts';

/** `{signature, publicKey}`, both in base58. Lengths are bounded because decoding base58 is quadratic. */
export const solSignatureSchema = z.strictObject({ signature: z.string().max(88), publicKey: z.string().max(44) });

/** A Solana account's signature. On the wire it is the JSON text of this object; some APIs answer the object itself. */
export type SolSignature = z.output<typeof solSignatureSchema>;

/** Reads a signature from its JSON text or from the object; undefined when it is neither. */
export function readSolSignature(signature: unknown): SolSignature | undefined {
  const parsed = solSignatureSchema.safeParse(typeof signature === 'string' ? jsonOf(signature) : signature);
  return parsed.success ? parsed.data : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Checks an Ed25519 signature as libsodium does, and with it the network's other nodes: RFC 8032 without the cofactor;
 * a large S, and a key or R that is of small order or not canonical, are refused. Undefined when the base58 is malformed.
 */
export function verifyText(
  text: Uint8Array,
  { signature, publicKey }: SolSignature,
  { verifyEd25519 }: Pick<Engines, 'verifyEd25519'>,
): boolean | undefined {
  const signatureBytes = decode(signature, 64);
  const keyBytes = decode(publicKey, 32);
  if (signatureBytes === undefined || keyBytes === undefined) return undefined;
  if (!isSound(keyBytes) || !isSound(signatureBytes.subarray(0, 32))) return false;
  return verifyEd25519(text, { signature: signatureBytes, publicKey: keyBytes });
}

const FIELD_ORDER = ed25519.Point.Fp.ORDER;
/** The y of a point of order 8; the other two with a y of their own have order 4 and 2, and the neutral one is 1. */
const ORDER_8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([0n, 1n, FIELD_ORDER - 1n, ORDER_8_Y, FIELD_ORDER - ORDER_8_Y]);

/** Whether 32 bytes name a point in the one way there is, and none of the eight that would verify anything. */
function isSound(bytes: Uint8Array): boolean {
  const bigEndian = bytes.toReversed();
  // The highest bit is the sign of x.
  bigEndian[0] = (bigEndian[0] ?? 0) & 0x7f;
  const y = BigInt(`0x${bytesToHex(bigEndian)}`);
  return y < FIELD_ORDER && !SMALL_ORDER_Y.has(y);
}

function decode(text: string, sizeBytes: number): Uint8Array | undefined {
  try {
    const bytes = base58.decode(text);
    return bytes.length === sizeBytes ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** Signs `text` with a 32-byte seed and writes the JSON text that stands in a message. */
export function signSolText(text: Uint8Array, seed: Uint8Array): string {
  const signature = base58.encode(ed25519.sign(text, seed));
  return JSON.stringify({ signature, publicKey: solAddressOf(seed) });
}

/** The base58 address of the account a 32-byte seed makes. */
export function solAddressOf(seed: Uint8Array): string {
  return base58.encode(ed25519.getPublicKey(seed));
}
