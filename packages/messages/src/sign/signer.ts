/** Accounts that can sign messages. The key stays in the closure and is never shown. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { MessageError } from '../errors.ts';
import type { Address } from '../schema/hashes.ts';
import { evmAddressOf, signText } from './evm.ts';
import { type Signable, signedBytes } from './signed-bytes.ts';
import { signSolText, solAddressOf } from './sol.ts';

/** An account that signs. */
export interface Signer {
  readonly chain: 'ETH' | 'SOL';
  /** EIP-55 for ETH, base58 for SOL. */
  readonly address: Address;
  /** Signs a message's four signed members. Rejects with MessageError SIGNER_MISMATCH when it names another account. */
  sign(part: Signable): Promise<string>;
}

const KEY_SIZE_BYTES = 32;

/** Makes 32 random bytes that serve as a key for either chain. */
export function generateKey(): Uint8Array {
  return secp256k1.utils.randomSecretKey();
}

/** Makes an Ethereum account from its 32-byte private key. Throws MessageError KEY_MALFORMED. */
export function createEvmSigner(privateKey: Uint8Array): Signer & { readonly chain: 'ETH' } {
  if (!secp256k1.utils.isValidSecretKey(privateKey)) {
    const found = privateKey.length === KEY_SIZE_BYTES ? 'out of range' : `of ${privateKey.length} bytes`;
    throw new MessageError('KEY_MALFORMED', { found, expected: '32 bytes, more than 0 and less than the group order' });
  }
  const key = privateKey.slice();
  const address = evmAddressOf(secp256k1.getPublicKey(key, false));
  return signer({ chain: 'ETH', address }, (text) => signText(text, key));
}

/** Makes a Solana account from its 32-byte seed. Throws MessageError KEY_MALFORMED. */
export function createSolSigner(seed: Uint8Array): Signer & { readonly chain: 'SOL' } {
  if (seed.length !== KEY_SIZE_BYTES) {
    throw new MessageError('KEY_MALFORMED', { found: `of ${seed.length} bytes`, expected: '32 bytes' });
  }
  const key = seed.slice();
  return signer({ chain: 'SOL', address: solAddressOf(key) as Address }, (text) => signSolText(text, key));
}

function signer<C extends Signer['chain']>(
  account: { chain: C; address: Address },
  signBytes: (text: Uint8Array) => string,
): Signer & { readonly chain: C } {
  return {
    ...account,
    // Async although nothing waits here, so that a wallet or a key agent can stand in its place.
    async sign(part) {
      if (part.sender !== account.address || part.chain !== account.chain) {
        const found = `${part.chain} ${part.sender}`;
        const expected = `${account.chain} ${account.address}`;
        throw new MessageError('SIGNER_MISMATCH', { operand: part.item_hash, found, expected });
      }
      return signBytes(signedBytes(part));
    },
  };
}
