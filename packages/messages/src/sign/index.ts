/** Accounts and what they sign. */
export { EVM_CHAINS } from '../schema/chains.ts';
export { checksumAddress } from './evm.ts';
export { type Signable, signedBytes } from './signed-bytes.ts';
export { createEvmSigner, createSolSigner, generateKey, type Signer } from './signer.ts';
