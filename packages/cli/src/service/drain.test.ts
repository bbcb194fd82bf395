import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { resolvePaths } from '@vmlet/host';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../testing.ts';

const BIN = fileURLToPath(new URL('../../bin/vmlet', import.meta.url));

test('drain: a node that is told to stop is not ready first, and takes requests until its delay is over', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const own = { VMLET_HOME: join(folder.path, 'home'), VMLET_CONFIG: join(folder.path, 'config') };
  const args = ['up', '--json', '--listen', '127.0.0.1:0', '--drain-delay', '30s', '--snapshot-budget', '0'];
  const env = { ...process.env, ...own, VMLET_CACHE: resolvePaths().cache };
  const node = spawn(BIN, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(node, 'exit');
  stack.defer(async () => {
    if (node.exitCode === null) node.kill('SIGKILL');
    await ended;
  });
  const [line] = await once(createInterface({ input: node.stdout }), 'line');
  const { url } = JSON.parse(line);
  const status = async (path: string) => (await fetch(`${url}${path}`)).status;
  expect(await status('/readyz')).toBe(200);

  node.kill('SIGTERM');
  while ((await status('/readyz')) !== 503);
  expect(await status('/healthz')).toBe(200);
  expect(await status('/api/v0/version')).toBe(200);
  // A second one ends it at once.
  node.kill('SIGTERM');
  expect(await ended).toEqual([130, null]);
});
