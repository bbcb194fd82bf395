import { expect, test } from 'vitest';
import { manifestSchema } from './manifest.ts';

const GOOD = {
  format: 1,
  kind: 'vmlet/runtime',
  name: 'small',
  version: '1',
  description: '',
  os: 'Debian 12',
  interpreters: { python: { path: '/usr/bin/python3', version: '3.11.2' } },
  filesystem: 'erofs',
  init: 'kit',
  sizeBytes: 5,
  fileHash: 'a'.repeat(64),
};

test('manifestSchema: reads a manifest, and leaves out what a later version may add', () => {
  expect(manifestSchema.parse({ ...GOOD, later: 1 })).toEqual(GOOD);
});

test('manifestSchema: reads further versions of an interpreter, under any name', () => {
  const node = { path: '/usr/bin/node', version: '24', others: [{ path: '/opt/node', version: '22' }] };
  expect(manifestSchema.parse({ ...GOOD, interpreters: { node } })).toEqual({ ...GOOD, interpreters: { node } });
  expect(manifestSchema.parse({ ...GOOD, interpreters: {} })).toEqual({ ...GOOD, interpreters: {} });
});

test.each([
  [{ format: 2 }],
  [{ kind: 'other' }],
  [{ name: '' }],
  [{ name: 'x'.repeat(65) }],
  [{ filesystem: 'ntfs' }],
  [{ init: 'systemd' }],
  [{ sizeBytes: -1 }],
  [{ sizeBytes: 1.5 }],
  [{ fileHash: 'A'.repeat(64) }],
  [{ interpreters: { python: { path: 'python3', version: '3' } } }],
  [{ interpreters: { node: { path: '/node', version: '24', others: [{ path: 'node', version: '22' }] } } }],
  [{ interpreters: { node: { path: '/node', version: '24', others: Array(17).fill({ path: '/n', version: '1' }) } } }],
  [{ interpreters: undefined }],
])('manifestSchema: refuses %j', (wrong) => {
  expect(manifestSchema.safeParse({ ...GOOD, ...wrong }).success).toBe(false);
});

test('manifestSchema: refuses what is no object', () => {
  for (const value of [undefined, null, 1, 'x', []]) expect(manifestSchema.safeParse(value).success).toBe(false);
});

test.each(['kit', 'image', 'distribution'])('manifestSchema: takes "%s" for an init', (init) => {
  expect(manifestSchema.parse({ ...GOOD, init }).init).toBe(init);
});
