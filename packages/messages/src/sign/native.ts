/** Native libraries, where this host has them. Without `import`, so that the package loads in a browser as well. */
import type { ecdsaRecover as EcdsaRecover } from 'secp256k1';
import type { Engines } from './engine.ts';

/** An Ed25519 key in SubjectPublicKeyInfo is these bytes and the 32 of the key. */
const ED25519_SPKI_PREFIX = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]);

/** libsecp256k1; undefined where it does not load: its binaries are for glibc, musl and the usual processors. */
export function nativeRecover(): Engines['recover'] | undefined {
  const library = load();
  if (library === undefined) return undefined;
  return (rs, digest, recovery) => {
    try {
      return library.ecdsaRecover(rs, recovery, digest, false);
    } catch {
      // r or s out of range, or no point with that r.
      return undefined;
    }
  };
}

/** OpenSSL's; undefined where there is none. */
export function nativeVerifyEd25519(): Engines['verifyEd25519'] | undefined {
  const crypto = builtin('node:crypto');
  if (crypto === undefined) return undefined;
  return (text, { signature, publicKey }) => {
    const key = new Uint8Array(ED25519_SPKI_PREFIX.length + publicKey.length);
    key.set(ED25519_SPKI_PREFIX);
    key.set(publicKey, ED25519_SPKI_PREFIX.length);
    try {
      return crypto.verify(null, text, { key: key as Buffer, format: 'der', type: 'spki' }, signature);
    } catch {
      // The key is no point of the curve.
      return false;
    }
  };
}

/**
 * The binding by its path: the package's own entry falls back to code of its own, where ours is to be used.
 */
function load(): { ecdsaRecover: typeof EcdsaRecover } | undefined {
  try {
    const library: unknown = builtin('node:module')?.createRequire(import.meta.url)('secp256k1/bindings.js');
    return hasRecover(library) ? library : undefined;
  } catch {
    // No binary for this host, or none that it lets us load: the portable engine does the same.
    return undefined;
  }
}

function hasRecover(library: unknown): library is { ecdsaRecover: typeof EcdsaRecover } {
  return typeof library === 'object' && library !== null && 'ecdsaRecover' in library;
}

function builtin<N extends 'node:crypto' | 'node:module'>(name: N) {
  return globalThis.process?.getBuiltinModule?.(name);
}
