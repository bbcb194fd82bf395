/** What a library that checks signatures must do here. */

/** A signature of 64 bytes and the key of 32 bytes that made it. */
export interface Ed25519Signed {
  readonly signature: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** The mathematics of a check. Implementations MUST NOT throw, and MUST all answer the same: nodes agree by it. */
export interface Engines {
  /**
   * Finds the uncompressed public key (65 bytes) that made r and s (64 bytes) over a digest (32 bytes); undefined where
   * no key did, r or s out of range among them. The bit says which of two points r is.
   */
  recover(rs: Uint8Array, digest: Uint8Array, recovery: 0 | 1): Uint8Array | undefined;

  /**
   * Checks by the equation without a cofactor; S MUST be below the group's order. That key and R are canonical and not
   * of small order has been checked before.
   */
  verifyEd25519(text: Uint8Array, signed: Ed25519Signed): boolean;
}
