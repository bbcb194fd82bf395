import { hexToBytes } from '@noble/hashes/utils.js';
import { describe, expect, test } from 'vitest';
import { MessageError } from '../errors.ts';
import type { ItemHash } from '../schema/hashes.ts';
import { sameAddress } from '../schema/hashes.ts';
import { verifySignature } from '../verify.ts';
import { signText } from './evm.ts';
import { checksumAddress, createEvmSigner, createSolSigner, generateKey, type Signable } from './index.ts';

const ITEM_HASH = 'b'.repeat(64) as ItemHash;

describe('checksumAddress', () => {
  // The examples of the EIP-55 text.
  test.each([
    '0x52908400098527886E0F7030069857D2E4169EE7',
    '0x8617E340B3D01FA5F11F306F4090FD50E238070D',
    '0xde709f2102306220921060314715629080e2fb77',
    '0x27b1fdb04752bbc536007a920d24acb045561c26',
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359',
    '0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB',
    '0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb',
  ])('checksumAddress: writes %s, when given it in lowercase', (address) => {
    expect(checksumAddress(address.toLowerCase())).toBe(address);
    expect(sameAddress(address, address.toLowerCase())).toBe(true);
  });

  test('sameAddress: tells base58 letter case apart, when the chain is Solana', () => {
    const address = '5SwCeHbZ9oY3556YFBEhPTHyy9t4yse26v7MUyGm2bHS';
    expect(sameAddress(address, address)).toBe(true);
    expect(sameAddress(address, address.toLowerCase())).toBe(false);
  });
});

describe('signers', () => {
  test('createEvmSigner: derives the known address, when given a known key', () => {
    const key = hexToBytes('ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80');
    expect(createEvmSigner(key).address).toBe('0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266');
  });

  test('signText: writes the known signature, when given a known text and key', () => {
    // The worked example of the web3.js documentation.
    const key = hexToBytes('4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318');
    expect(signText(new TextEncoder().encode('Some data'), key)).toBe(
      '0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c',
    );
  });

  test('createSolSigner: derives the address of RFC 8032, when given the seed of its first test', () => {
    const seed = hexToBytes('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60');
    expect(createSolSigner(seed).address).toBe('FVen3X669xLzsi6N2V91DoiyzHzg1uAgqiT8jZ9nS96Z');
  });

  test.each([createEvmSigner, createSolSigner])('%o: signs what verifies, when the key is fresh', async (create) => {
    const signer = create(generateKey());
    const part: Signable = { chain: signer.chain, sender: signer.address, type: 'STORE', item_hash: ITEM_HASH };
    expect(verifySignature({ ...part, signature: await signer.sign(part) })).toEqual({ ok: true });
  });

  test('sign: refuses, when the message names another sender or chain', async () => {
    const signer = createEvmSigner(generateKey());
    const other = createEvmSigner(generateKey());
    const part: Signable = { chain: 'ETH', sender: other.address, type: 'POST', item_hash: ITEM_HASH };
    await expect(signer.sign(part)).rejects.toMatchObject({ code: 'SIGNER_MISMATCH' });
    await expect(signer.sign({ ...part, sender: signer.address, chain: 'BASE' })).rejects.toThrow(MessageError);
  });

  test('createEvmSigner: refuses a key, when it is short, zero or past the group order', () => {
    expect(() => createEvmSigner(new Uint8Array(31))).toThrow('found a key of 31 bytes, expected 32 bytes');
    expect(() => createEvmSigner(new Uint8Array(32))).toThrow('found a key out of range');
    expect(() => createEvmSigner(new Uint8Array(32).fill(0xff))).toThrow('found a key out of range');
    expect(() => createSolSigner(new Uint8Array(33))).toThrow('found a key of 33 bytes');
  });

  test('createEvmSigner: keeps its own copy of the key, when the caller wipes theirs', async () => {
    const key = generateKey();
    const signer = createEvmSigner(key);
    key.fill(0);
    const part: Signable = { chain: 'ETH', sender: signer.address, type: 'POST', item_hash: ITEM_HASH };
    expect(verifySignature({ ...part, signature: await signer.sign(part) })).toEqual({ ok: true });
  });
});
