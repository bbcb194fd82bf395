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

const FACTS = {
  osRelease: { ID: 'debian', VERSION_ID: '12' },
  packages: { manager: 'dpkg', count: 120 },
  largestPackages: [{ name: 'libc6', version: '2.36', installedBytes: 12_988_416 }],
  kernel: { modules: ['erofs'], minVersion: '5.4' },
  unpackedBytes: 9,
  epoch: 1_700_000_000,
  builder: 'vmlet 3',
  config: {
    entrypoint: ['/run'],
    cmd: ['-v'],
    env: { A: '1' },
    workdir: '/app',
    user: 'web:web',
    exposedPorts: ['80/tcp'],
  },
  ...{ recipe: 'b'.repeat(64), lock: 'c'.repeat(64), sbom: 'd'.repeat(64), packageStore: 'e'.repeat(64) },
};

test('manifestSchema: reads what is known of the content, and what is published beside it', () => {
  expect(manifestSchema.parse({ ...GOOD, ...FACTS })).toEqual({ ...GOOD, ...FACTS });
  expect(manifestSchema.parse({ ...GOOD, filesystem: 'btrfs', config: {} })).toMatchObject({ config: {} });
});

test.each([
  [{ format: 2 }],
  [{ osRelease: { 'a b': '1' } }],
  [{ osRelease: Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`A${index}`, ''])) }],
  [{ packages: { manager: 'pacman', count: 1 } }],
  [{ packages: { manager: 'dpkg', count: -1 } }],
  [{ kernel: { modules: Array(33).fill('m'), minVersion: '5.4' } }],
  [{ epoch: 1.5 }],
  [{ config: { entrypoint: '/run' } }],
  [{ config: { cmd: Array(65).fill('x') } }],
  [{ config: { env: Object.fromEntries(['A', 'B', 'C', 'D', 'E'].map((name) => [name, 'x'.repeat(4000)])) } }],
  [{ lock: 'x'.repeat(65) }],
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
