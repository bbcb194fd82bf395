/** Ed25519 signatures in the JSON form Solana accounts use. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { base58 } from '@scure/base';
import * as z from 'zod';

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

/** Checks an Ed25519 signature by RFC 8032 (small-order keys and large S are refused); undefined when the base58 is malformed. */
export function verifyText(text: Uint8Array, { signature, publicKey }: SolSignature): boolean | undefined {
  const signatureBytes = decode(signature, 64);
  const keyBytes = decode(publicKey, 32);
  if (signatureBytes === undefined || keyBytes === undefined) return undefined;
  return ed25519.verify(signatureBytes, text, keyBytes, { zip215: false });
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
