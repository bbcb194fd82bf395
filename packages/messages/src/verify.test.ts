import { ed25519 } from '@noble/curves/ed25519.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import { base58 } from '@scure/base';
import { describe, expect, test } from 'vitest';
import { readApiMessage } from './api-form.ts';
import { CHAINS, type Chain, ED25519_CHAINS, EVM_CHAINS, UNVERIFIED_CHAINS } from './schema/chains.ts';
import type { ItemHash } from './schema/hashes.ts';
import { hostEngines, portableEngines } from './sign/engines.ts';
import { signText } from './sign/evm.ts';
import {
  checksumAddress,
  createEvmSigner,
  createSolSigner,
  generateKey,
  type Signable,
  signedBytes,
} from './sign/index.ts';
import { referenceMessages } from './testing.ts';
import { type Signed, type Verification, verifySignature as verifyWith } from './verify.ts';

const ITEM_HASH = 'a'.repeat(64) as ItemHash;
// The key of the well-known first account of development chains; its address is public knowledge.
const EVM_KEY = hexToBytes('ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80');

async function signed(chain: Chain = 'ETH') {
  const signer = createEvmSigner(EVM_KEY);
  const part: Signable = { chain: 'ETH', sender: signer.address, type: 'POST', item_hash: ITEM_HASH };
  return { ...part, chain, signature: await signer.sign(part) };
}

function codeOf(verification: Verification): string {
  return verification.ok ? 'ok' : verification.code;
}

const ENGINES = { 'native code': hostEngines(), TypeScript: portableEngines };

describe.each(Object.entries(ENGINES))('verifySignature in %s', (_engine, engines) => {
  const verifySignature = (message: Signed) => verifyWith(message, engines);

  test.each(referenceMessages())('verifySignature: accepts the signature, when it is that of %s', (_name, row) => {
    expect(verifySignature(readApiMessage(row).envelope)).toEqual({ ok: true });
  });

  test.each(referenceMessages())(
    'verifySignature: refuses the message, when a signed member of %s changed',
    (_name, row) => {
      const { envelope } = readApiMessage(row);
      const flipped = `${envelope.item_hash.startsWith('0') ? '1' : '0'}${envelope.item_hash.slice(1)}` as ItemHash;
      expect(codeOf(verifySignature({ ...envelope, item_hash: flipped }))).toBe('SIGNATURE_WRONG');
      const type = envelope.type === 'POST' ? 'STORE' : 'POST';
      expect(codeOf(verifySignature({ ...envelope, type }))).toBe('SIGNATURE_WRONG');
    },
  );

  test('verifySignature: knows every chain once, when the groups are laid together', () => {
    expect(new Set(CHAINS).size).toBe(33);
    expect(CHAINS.length).toBe(EVM_CHAINS.length + ED25519_CHAINS.length + UNVERIFIED_CHAINS.length);
  });

  test.each(EVM_CHAINS)('verifySignature: accepts EIP-191, when the chain is %s', (chain) => {
    const sender = checksumAddress('0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266');
    const part: Signable = { chain, sender, type: 'POST', item_hash: ITEM_HASH };
    expect(verifySignature({ ...part, signature: evmSign(part) })).toEqual({ ok: true });
  });

  test.each(UNVERIFIED_CHAINS)('verifySignature: says that it cannot, when the chain is %s', async (chain) => {
    const result = verifySignature(await signed(chain));
    expect(result).toMatchObject({ ok: false, code: 'CHAIN_UNSUPPORTED' });
    expect(result.ok ? '' : result.reason).toContain(`found chain "${chain}", expected one of ARB `);
  });

  test('verifySignature: accepts other forms of one signature, when v is 0 or 1, 0x is missing or the case differs', async () => {
    const message = await signed();
    const v = Number.parseInt(message.signature.slice(-2), 16);
    const low = message.signature.slice(0, -2) + (v - 27).toString(16).padStart(2, '0');
    expect(verifySignature({ ...message, signature: low })).toEqual({ ok: true });
    expect(verifySignature({ ...message, signature: message.signature.slice(2) })).toEqual({ ok: true });
    const lower = checksumAddress(message.sender).toLowerCase();
    const asLower: Signable = { ...message, sender: lower as Signable['sender'] };
    // The sender is signed as it is written, so the lowercase form needs its own signature.
    expect(verifySignature({ ...asLower, signature: evmSign(asLower) })).toEqual({ ok: true });
  });

  test('verifySignature: refuses a malleated signature, when s was replaced by n - s', async () => {
    const message = await signed();
    const s = BigInt(`0x${message.signature.slice(66, 130)}`);
    const flipped = (secp256k1.Point.CURVE().n - s).toString(16).padStart(64, '0');
    const v = message.signature.endsWith('1b') ? '1c' : '1b';
    const signature = message.signature.slice(0, 66) + flipped + v;
    expect(codeOf(verifySignature({ ...message, signature }))).toBe('SIGNATURE_MALLEABLE');
  });

  test('verifySignature: accepts an r and an s that begin with a zero byte, and refuses them shortened', () => {
    // By the well-known key over POSTs whose item_hash is this number.
    const signatures = {
      77: '0x008c20869f1611560b58e6679db561502b4be8691d5b9a38326c83a0d62b77050cb0383c26631da9b7a33e87628ba8567c3fd43b67e39c7a92c07bc0a5c9c1a11c',
      5: '0xc1c87f1c0cf8b0492eb02a464c8c4a4c0ea3497051d8b9098ed3092115dc05ba00b32f2d4e2b706524cb1c2e08f5608d3afc74885e988673f4a8035061f617c81c',
    };
    const { address: sender } = createEvmSigner(EVM_KEY);
    for (const [number, signature] of Object.entries(signatures)) {
      const item_hash = Number(number).toString(16).padStart(64, '0') as ItemHash;
      const check = (text: string) =>
        codeOf(verifySignature({ chain: 'ETH', sender, type: 'POST', item_hash, signature: text }));
      expect(check(signature)).toBe('ok');
      expect(check(signature.replace(/1c$/, '1b'))).toBe('SIGNATURE_WRONG');
      expect(check(signature.replace(/^0x00/, '0x').replace(/^(.{66})00/, '$1'))).toBe('SIGNATURE_MALFORMED');
    }
  });

  const malformed: [string, string, string][] = [
    ['empty', '', 'SIGNATURE_MALFORMED'],
    ['without v', `0x${'11'.repeat(64)}`, 'SIGNATURE_MALFORMED'],
    ['of v 29', `0x${'11'.repeat(64)}1d`, 'SIGNATURE_MALFORMED'],
    ['of v 2', `0x${'11'.repeat(64)}02`, 'SIGNATURE_MALFORMED'],
    // 35 or 36 and twice the number of the chain: of transactions, not of texts.
    ['of v 37, as EIP-155 has it', `0x${'11'.repeat(64)}25`, 'SIGNATURE_MALFORMED'],
    ['in the short form of EIP-2098', `0x${'11'.repeat(64)}`, 'SIGNATURE_MALFORMED'],
    ['no hex', `0x${'zz'.repeat(65)}`, 'SIGNATURE_MALFORMED'],
    ['followed by a line break', `0x${'11'.repeat(64)}1b\n`, 'SIGNATURE_MALFORMED'],
    ['all zero', `0x${'00'.repeat(64)}1b`, 'SIGNATURE_WRONG'],
    ['of r out of range', `0x${'ff'.repeat(32)}${'11'.repeat(32)}1b`, 'SIGNATURE_WRONG'],
    ['of s out of range', `0x${'11'.repeat(32)}${'ff'.repeat(32)}1b`, 'SIGNATURE_WRONG'],
    ['of s zero', `0x${'11'.repeat(32)}${'00'.repeat(32)}1b`, 'SIGNATURE_WRONG'],
    ['of an r that is no x of a point', `0x${'00'.repeat(31)}05${'11'.repeat(32)}1b`, 'SIGNATURE_WRONG'],
  ];

  test.each(malformed)('verifySignature: refuses an EVM signature, when it is %s', async (_name, signature, code) => {
    expect(codeOf(verifySignature({ ...(await signed()), signature }))).toBe(code);
  });

  test('verifySignature: refuses the message, when an EVM sender is no address', async () => {
    const sender = 'alice' as Signable['sender'];
    const result = verifySignature({ ...(await signed()), sender });
    expect(result).toMatchObject({ ok: false, code: 'SIGNATURE_MALFORMED' });
  });
});

/** Signs for any EVM chain name, which a signer that says "ETH" refuses. */
function evmSign(part: Signable): string {
  return signText(signedBytes(part), EVM_KEY);
}

describe.each(Object.entries(ENGINES))('verifySignature for Ed25519 in %s', (_engine, engines) => {
  const verifySignature = (message: Signed) => verifyWith(message, engines);
  const signer = createSolSigner(new Uint8Array(32).fill(7));
  const part: Signable = { chain: 'SOL', sender: signer.address, type: 'POST', item_hash: ITEM_HASH };

  test('verifySignature: accepts the text and the object, when a Solana account signed', async () => {
    const signature = await signer.sign(part);
    expect(verifySignature({ ...part, signature })).toEqual({ ok: true });
    expect(verifySignature({ ...part, signature: JSON.parse(signature) })).toEqual({ ok: true });
  });

  test('verifySignature: refuses the message, when another account signed in its name', async () => {
    const other = createSolSigner(generateKey());
    const signature = await other.sign({ ...part, sender: other.address });
    expect(codeOf(verifySignature({ ...part, signature }))).toBe('SIGNATURE_WRONG');
  });

  test('verifySignature: refuses the key of small order, when it would verify anything', () => {
    // The neutral element: with R = A = identity and S = 0 the cofactored equation holds for every text.
    const identity = Uint8Array.from([1, ...new Array(31).fill(0)]);
    const sender = base58.encode(identity) as Signable['sender'];
    const signature = {
      signature: base58.encode(Uint8Array.from([...identity, ...new Array(32).fill(0)])),
      publicKey: sender,
    };
    expect(ed25519.verify(base58.decode(signature.signature), signedBytes({ ...part, sender }), identity)).toBe(true);
    expect(codeOf(verifySignature({ ...part, sender, signature }))).toBe('SIGNATURE_WRONG');
  });

  const publicKey = signer.address;
  const malformed: [string, string][] = [
    ['hex', `0x${'11'.repeat(65)}`],
    ['a JSON text of another kind', '[]'],
    ['without publicKey', JSON.stringify({ signature: '1' })],
    ['with an extra member', JSON.stringify({ signature: '1', publicKey, x: 1 })],
    ['of too few bytes', JSON.stringify({ signature: '1111', publicKey })],
    ['no base58', JSON.stringify({ signature: '0OIl', publicKey })],
    ['far too long', JSON.stringify({ signature: '1'.repeat(3000), publicKey })],
  ];

  test.each(malformed)('verifySignature: refuses a Solana signature, when it is %s', (_name, signature) => {
    expect(codeOf(verifySignature({ ...part, signature }))).toBe('SIGNATURE_MALFORMED');
  });
});
