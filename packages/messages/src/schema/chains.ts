/** The chain names a message may carry, grouped by the signature they use. */

/** Chains whose accounts sign with EIP-191 (`personal_sign`). */
export const EVM_CHAINS = [
  'ARB',
  'BASE',
  'BLAST',
  'BOB',
  'BSC',
  'CYBER',
  'ETH',
  'ETHERLINK',
  'FRAX',
  'HYPE',
  'INK',
  'LENS',
  'LINEA',
  'LISK',
  'METIS',
  'MODE',
  'NEO',
  'OP',
  'POL',
  'SONIC',
  'UNICHAIN',
  'WLD',
  'ZORA',
  // Avalanche signs by EIP-191 on its C-chain (0x senders); its X-chain addresses do not verify here.
  'AVAX',
] as const;

/** Chains whose accounts sign with Ed25519 and are named by their public key in base58. */
export const ED25519_CHAINS = ['SOL', 'ES'] as const;

/** Chains that are valid names and that nothing here can verify. */
export const UNVERIFIED_CHAINS = ['AURORA', 'CSDK', 'DOT', 'NULS', 'NULS2', 'STT', 'TEZOS'] as const;

/** Every chain name a message may carry: 33. */
export const CHAINS = [...EVM_CHAINS, ...ED25519_CHAINS, ...UNVERIFIED_CHAINS] as const;

/** A chain name as it stands in a message. */
export type Chain = (typeof CHAINS)[number];
