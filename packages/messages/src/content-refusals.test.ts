import { describe, expect, test } from 'vitest';
import { MessageError } from './errors.ts';
import { parseContent } from './parse.ts';
import type { MessageType } from './schema/index.ts';
import { instanceContent, programContent } from './testing.ts';

const HASH = 'a'.repeat(64);
const CID = 'QmYULJoNGPDmoRq4WNWTDTUvJGJv1hosox8H6vVd1kCsY8';
const base = { address: '0xB68B9D4f3771c246233823ed1D3Add451055F9Ef', time: 1 };

function refusal(type: MessageType, content: unknown): MessageError {
  try {
    parseContent(type, JSON.stringify(content));
  } catch (error) {
    if (error instanceof MessageError) return error;
    throw error;
  }
  throw new Error('expected the content to be refused');
}

function entries(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, '']));
}

describe('parseContent', () => {
  const V = (volume: object) => programContent({ volumes: [volume] });
  const node = { node: { node_hash: HASH } };
  const gpu = [{ vendor: 'v', device_name: 'd', device_class: '0302', device_id: '1:2' }];
  const cases: [string, MessageType, unknown, string, string][] = [
    ['address is absent', 'POST', { time: 1, type: 't' }, 'MEMBER_MISSING', '"$.address" is absent, expected a string'],
    ['a POST has an extra member', 'POST', { ...base, type: 't', x: 1 }, 'MEMBER_UNKNOWN', '"$.x" is not a member'],
    [
      'an amend has no ref',
      'POST',
      { ...base, type: 'amend' },
      'MEMBER_MISSING',
      '"$.ref" is absent, expected the hash of a post',
    ],
    [
      'an AGGREGATE content is a text',
      'AGGREGATE',
      { ...base, key: 'k', content: 'x' },
      'MEMBER_MISMATCH',
      '"$.content" is "x", expected an object',
    ],
    [
      'an AGGREGATE has an extra member',
      'AGGREGATE',
      { ...base, key: 'k', content: {}, x: 1 },
      'MEMBER_UNKNOWN',
      '"$.x"',
    ],
    [
      'a STORE names IPFS and a SHA-256',
      'STORE',
      { ...base, item_type: 'ipfs', item_hash: HASH },
      'MEMBER_MISMATCH',
      '"$.item_hash" is',
    ],
    [
      'a STORE names storage and a CID',
      'STORE',
      { ...base, item_type: 'storage', item_hash: CID },
      'MEMBER_MISMATCH',
      'expected a CID with',
    ],
    [
      'a STORE is paid by stream',
      'STORE',
      { ...base, item_type: 'ipfs', item_hash: CID, payment: { type: 'superfluid' } },
      'MEMBER_MISMATCH',
      '"$.payment.type" is "superfluid", expected "hold" or "credit"',
    ],
    [
      'a FORGET has too many hashes',
      'FORGET',
      { ...base, hashes: Array(1001).fill(HASH) },
      'MEMBER_MISMATCH',
      '"$.hashes" is an array of 1001 entries, expected at most 1000 entries',
    ],
    [
      'a FORGET hash is malformed',
      'FORGET',
      { ...base, hashes: [HASH, 'x'] },
      'MEMBER_MISMATCH',
      '"$.hashes[1]" is "x"',
    ],
    [
      'a FORGET reason is too long',
      'FORGET',
      { ...base, hashes: [], reason: 'r'.repeat(1001) },
      'MEMBER_MISMATCH',
      'expected at most 1000 characters',
    ],
    [
      'a PROGRAM has an extra member',
      'PROGRAM',
      programContent({ rootfs: {} }),
      'MEMBER_UNKNOWN',
      '"$.rootfs" is not a member',
    ],
    [
      'on has an extra member',
      'PROGRAM',
      programContent({ on: { http: true, cron: '* *' } }),
      'MEMBER_UNKNOWN',
      '"$.on.cron"',
    ],
    [
      'a subscription has 33 keys',
      'PROGRAM',
      programContent({ on: { http: true, message: [entries(33)] } }),
      'MEMBER_MISMATCH',
      '"$.on.message[0]" is an object, expected at most 32 entries',
    ],
    [
      'code has no ref',
      'PROGRAM',
      programContent({ code: { encoding: 'zip', entrypoint: 'a:b' } }),
      'MEMBER_MISSING',
      '"$.code.ref" is absent',
    ],
    [
      'encoding is unknown',
      'PROGRAM',
      programContent({ code: { encoding: 'tar', entrypoint: 'a', ref: HASH } }),
      'MEMBER_MISMATCH',
      '"$.code.encoding" is "tar", expected "plain" or "zip" or "squashfs"',
    ],
    [
      'vcpus is a fraction',
      'PROGRAM',
      programContent({ resources: { vcpus: 1.5 } }),
      'MEMBER_MISMATCH',
      '"$.resources.vcpus" is 1.5, expected a whole number',
    ],
    [
      'vcpus is null',
      'PROGRAM',
      programContent({ resources: { vcpus: null } }),
      'MEMBER_MISMATCH',
      '"$.resources.vcpus" is null, expected a number',
    ],
    [
      'vcpus is 257',
      'PROGRAM',
      programContent({ resources: { vcpus: 257 } }),
      'MEMBER_MISMATCH',
      'expected at most 256',
    ],
    ['memory is 0', 'PROGRAM', programContent({ resources: { memory: 0 } }), 'MEMBER_MISMATCH', 'expected at least 1'],
    [
      'allow_amend is a number',
      'PROGRAM',
      programContent({ allow_amend: 1 }),
      'MEMBER_MISMATCH',
      '"$.allow_amend" is 1, expected true or false',
    ],
    [
      'there are 257 variables',
      'PROGRAM',
      programContent({ variables: entries(257) }),
      'MEMBER_MISMATCH',
      '"$.variables" is an object, expected at most 256 entries',
    ],
    [
      'a variable name is too long',
      'PROGRAM',
      programContent({ variables: { ['k'.repeat(129)]: '' } }),
      'MEMBER_MISMATCH',
      'expected a key with at most 128 characters',
    ],
    [
      'a variable is too long',
      'PROGRAM',
      programContent({ variables: { 'a-b': 'v'.repeat(4097) } }),
      'MEMBER_MISMATCH',
      'is "vvvv',
    ],
    [
      'a variable is null',
      'PROGRAM',
      programContent({ variables: { a: null } }),
      'MEMBER_MISMATCH',
      '"$.variables.a" is null, expected a string',
    ],
    [
      'there are 257 metadata entries',
      'PROGRAM',
      programContent({ metadata: entries(257) }),
      'MEMBER_MISMATCH',
      'expected at most 256 entries',
    ],
    [
      'there are 257 volumes',
      'PROGRAM',
      programContent({ volumes: Array(257).fill({ ref: HASH }) }),
      'MEMBER_MISMATCH',
      'expected at most 256 entries',
    ],
    [
      'there are 257 keys',
      'PROGRAM',
      programContent({ authorized_keys: Array(257).fill('k') }),
      'MEMBER_MISMATCH',
      'expected at most 256 entries',
    ],
    [
      'an immutable volume has a bad ref',
      'PROGRAM',
      V({ mount: '/a', ref: 'x' }),
      'MEMBER_MISMATCH',
      '"$.volumes[0].ref" is "x"',
    ],
    [
      'a volume has an extra member',
      'PROGRAM',
      V({ mount: '/a', ref: HASH, x: 1 }),
      'MEMBER_UNKNOWN',
      '"$.volumes[0].x"',
    ],
    [
      'an ephemeral volume is too large',
      'PROGRAM',
      V({ ephemeral: true, size_mib: 1001 }),
      'MEMBER_MISMATCH',
      '"$.volumes[0].size_mib" is 1001, expected at most 1000',
    ],
    [
      'a persistent volume is too large',
      'PROGRAM',
      V({ name: 'n', persistence: 'host', size_mib: 1_953_126 }),
      'MEMBER_MISMATCH',
      'expected at most 1953125',
    ],
    [
      'a requirement is unknown',
      'PROGRAM',
      programContent({ requirements: { disk: {} } }),
      'MEMBER_UNKNOWN',
      '"$.requirements.disk"',
    ],
    [
      'a node requirement is unknown',
      'PROGRAM',
      programContent({ requirements: { node: { x: 1 } } }),
      'MEMBER_UNKNOWN',
      '"$.requirements.node.x"',
    ],
    [
      'replaces is too long',
      'PROGRAM',
      programContent({ replaces: 'r'.repeat(129) }),
      'MEMBER_MISMATCH',
      'expected at most 128 characters',
    ],
    ['an INSTANCE has code', 'INSTANCE', instanceContent({ code: {} }), 'MEMBER_UNKNOWN', '"$.code"'],
    [
      'an INSTANCE pays by credit without a node',
      'INSTANCE',
      instanceContent({ payment: { chain: 'ETH', type: 'credit' } }),
      'MEMBER_MISSING',
      '"$.requirements.node.node_hash" is absent',
    ],
    [
      'a GPU has no QEMU',
      'INSTANCE',
      instanceContent({ requirements: { ...node, gpu } }),
      'MEMBER_MISSING',
      '"$.environment.hypervisor" is absent, expected "qemu" with a GPU',
    ],
    [
      'trusted execution has Firecracker',
      'INSTANCE',
      instanceContent({ environment: { hypervisor: 'firecracker', trusted_execution: {} } }),
      'MEMBER_MISMATCH',
      'expected "qemu" with trusted execution',
    ],
  ];

  test.each(cases)('parseContent: refuses the content, when %s', (_name, type, content, code, text) => {
    const error = refusal(type, content);
    expect({ code: error.code, message: error.message }).toEqual({ code, message: expect.stringContaining(text) });
    expect(error.message).toMatch(/^Cannot read content of [A-Z]+: "\$.*, expected /s);
  });
});
