import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey, sign as signWithOpenSsl } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostEngines, portableEngines } from './engines.ts';
import { nativeRecover, nativeVerifyEd25519 } from './native.ts';

const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const KEY = new Uint8Array(32).fill(9);
const RUNS = process.env.VMLET_TEST_ALL ? 20_000 : 100;

describe('engines', () => {
  test('hostEngines: are native here, and portable where the environment says so', () => {
    expect(nativeRecover()).toBeDefined();
    expect(nativeVerifyEd25519()).toBeDefined();
    expect(hostEngines().recover).not.toBe(portableEngines.recover);
    const script = `import { hostEngines, portableEngines } from ${JSON.stringify(`${import.meta.dirname}/engines.ts`)};
      process.stdout.write(String(hostEngines() === portableEngines));`;
    const env = { ...process.env, VMLET_NATIVE: '0' };
    expect(String(execFileSync(process.execPath, ['--input-type=module', '-e', script], { env }))).toBe('true');
  });

  test('recover: is the same by both, when the signature is any, changed in one bit, or none at all', () => {
    const isSame = (rs: Uint8Array, digest: Uint8Array, recovery: 0 | 1) => {
      const native = hostEngines().recover(rs, digest, recovery);
      expect(hex(native)).toBe(hex(portableEngines.recover(rs, digest, recovery)));
    };
    const recovery = fc.constantFrom<(0 | 1)[]>(0, 1);
    fc.assert(
      fc.property(bytes(32), fc.nat(511), fc.boolean(), recovery, (digest, bit, isChanged, one) => {
        const rs = secp256k1.sign(digest, KEY, { prehash: false }).slice();
        if (isChanged) rs[bit >> 3] = (rs[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        isSame(rs, digest, one);
      }),
      { numRuns: RUNS },
    );
    fc.assert(fc.property(bytes(64), bytes(32), recovery, isSame), { numRuns: RUNS });
    const edges = [
      new Uint8Array(32),
      new Uint8Array(32).fill(0xff),
      orderPlus(0n),
      orderPlus(-1n),
      orderPlus(1n),
      KEY,
    ];
    for (const r of edges) {
      for (const s of edges) isSame(Uint8Array.from([...r, ...s]), new Uint8Array(32).fill(0xff), 0);
    }
  });

  test('verifyEd25519: is the same by both, when the signature is any, changed in one bit, or none at all', () => {
    const publicKey = ed25519.getPublicKey(KEY);
    const isSame = (text: Uint8Array, signature: Uint8Array, key = publicKey) => {
      const native = hostEngines().verifyEd25519(text, { signature, publicKey: key });
      expect(portableEngines.verifyEd25519(text, { signature, publicKey: key })).toBe(native);
      return native;
    };
    fc.assert(
      fc.property(bytes(50), fc.nat(511), fc.boolean(), (text, bit, isChanged) => {
        const signature = ed25519.sign(text, KEY).slice();
        if (isChanged) signature[bit >> 3] = (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(isSame(text, signature)).toBe(!isChanged);
      }),
      { numRuns: RUNS },
    );
    fc.assert(
      fc.property(bytes(64), bytes(32), (signature, key) => {
        isSame(new Uint8Array(3), signature, key);
      }),
      { numRuns: RUNS },
    );
  });

  test('verifyEd25519: takes what OpenSSL signs, and refuses what only the cofactor makes right', () => {
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), KEY]);
    const text = Buffer.from('text');
    const signature = signWithOpenSsl(null, text, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
    const publicKey = ed25519.getPublicKey(KEY);
    for (const { verifyEd25519 } of [hostEngines(), portableEngines]) {
      expect(verifyEd25519(text, { signature, publicKey })).toBe(true);
      expect(verifyEd25519(text, { signature: withTorsion(text, KEY), publicKey })).toBe(false);
    }
    expect(ed25519.verify(withTorsion(text, KEY), text, publicKey)).toBe(true);
  });
});

function hex(found: Uint8Array | undefined): string | undefined {
  return found && Buffer.from(found).toString('hex');
}

/** The order of the secp256k1 group and a little, in 32 bytes. */
function orderPlus(more: bigint): Uint8Array {
  return Buffer.from((secp256k1.Point.Fn.ORDER + more).toString(16).padStart(64, '0'), 'hex');
}

/** A signature whose R has a part of order 8: right by the equation with the cofactor alone. */
function withTorsion(text: Uint8Array, seed: Uint8Array): Uint8Array {
  const { Point, utils } = ed25519;
  const { scalar, pointBytes } = utils.getExtendedPublicKey(seed);
  const order8 = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
  const r = 12345n;
  const R = Point.BASE.multiply(r).add(order8).toBytes();
  const challenge = littleEndian(createHash('sha512').update(R).update(pointBytes).update(text).digest());
  const s = Point.Fn.create(r + challenge * scalar);
  return Uint8Array.from([...R, ...Point.Fn.toBytes(s)]);
}

function littleEndian(bytes: Uint8Array): bigint {
  return ed25519.Point.Fn.create(BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`));
}
