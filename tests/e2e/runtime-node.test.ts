import { expect, test } from 'vitest';
import { officialRuntime } from '../framework/runtime.ts';

const MIB = 1024 * 1024;

test('runtime: debian-11-node has the current and the previous Node.js LTS, in at most 160 MiB', async () => {
  const { manifest } = await officialRuntime('debian-11-node');
  expect(manifest).toMatchObject({ name: 'debian-11-node', filesystem: 'erofs', init: 'kit' });
  expect(manifest.os).toContain('Debian GNU/Linux 11');
  const { node } = manifest.interpreters;
  expect(node).toMatchObject({ path: '/usr/local/bin/node', version: expect.stringMatching(/^24\./) });
  expect(node?.others).toEqual([
    { path: expect.stringMatching(/^\/opt\/node\/22\.[\d.]+\/bin\/node$/), version: expect.stringMatching(/^22\./) },
  ]);
  expect(manifest.sizeBytes).toBeLessThanOrEqual(160 * MIB);
}, 600_000);
