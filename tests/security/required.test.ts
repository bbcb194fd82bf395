import { randomInt } from 'node:crypto';
import { resolvePaths } from '@vmlet/host';
import { expect, test } from 'vitest';
import { openCage } from '../../packages/node/src/machines/cage/index.ts';
import { startTestNode } from '../framework/node.ts';

test('required: a node that may not confine less does not start where it would, and says what is missing', async () => {
  const uids = { first: 3_100_000_000 + randomInt(1000) * 1000, count: 512 };
  const options = { name: `vmlet-test-${process.pid}`, homeId: '', cache: resolvePaths().cache, uids };
  await using _other = await openCage({ ...options, signal: new AbortController().signal });
  await expect(startTestNode({ machineUids: uids, requireConfinement: true })).rejects.toMatchObject({
    code: 'CONFINEMENT_MISSING',
    message: expect.stringMatching(/missing are users \(all user ids from \d+ to \d+ are taken by other nodes\)/),
  });
  await using weaker = await startTestNode({ machineUids: uids });
  expect(weaker.node.unconfined).toEqual([expect.stringMatching(/^users /)]);
  const { checks } = await weaker.owner<{ checks: { code: string; status: string; fix?: string }[] }>('/doctor');
  expect(checks.find(({ code }) => code === 'MACHINE_USERS')).toMatchObject({
    status: 'warning',
    fix: expect.stringContaining('root'),
  });
  expect(checks.find(({ code }) => code === 'NAMESPACES')).toMatchObject({ status: 'ok' });
});
