/** The costly half of a check, natively where this host can, in TypeScript everywhere else. Both answer the same. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js';
import type { Ed25519Signed, Engines } from './engine.ts';
import { nativeRecover, nativeVerifyEd25519 } from './native.ts';

/** In TypeScript alone: for hosts that load no native code, and to compare with. */
export const portableEngines: Engines = { recover: recoverPortably, verifyEd25519: verifyPortably };

/**
 * The quickest that work here; asked once, at the first check, for a native library takes milliseconds to load. With
 * `VMLET_NATIVE=0` in the environment they are the portable ones.
 */
export const hostEngines = once((): Engines => {
  if (globalThis.process?.env?.VMLET_NATIVE === '0') return portableEngines;
  return {
    recover: nativeRecover() ?? portableEngines.recover,
    verifyEd25519: nativeVerifyEd25519() ?? portableEngines.verifyEd25519,
  };
});

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function recoverPortably(rs: Uint8Array, digest: Uint8Array, recovery: 0 | 1): Uint8Array | undefined {
  try {
    const signature = secp256k1.Signature.fromBytes(rs, 'compact').addRecoveryBit(recovery);
    return signature.recoverPublicKey(digest).toBytes(false);
  } catch {
    // r or s out of range, or no point with that r: the library throws plain errors for all of them.
    return undefined;
  }
}

/** The library's own check multiplies by the cofactor, which takes signatures that OpenSSL and libsodium refuse. */
function verifyPortably(text: Uint8Array, { signature, publicKey }: Ed25519Signed): boolean {
  const [r, s] = [signature.subarray(0, 32), littleEndian(signature.subarray(32))];
  const { Point } = ed25519;
  const order = Point.Fn.ORDER;
  if (s >= order) return false;
  try {
    const key = Point.fromBytes(publicKey);
    const challenge = littleEndian(sha512(concatBytes(r, publicKey, text))) % order;
    const expected = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(challenge));
    return bytesToHex(expected.toBytes()) === bytesToHex(r);
  } catch {
    // The key is no point of the curve.
    return false;
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes.toReversed())}`);
}
