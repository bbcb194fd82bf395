import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MODULE = join(import.meta.dirname, 'failpoint.ts');

/** A process that comes by one step, and says so. */
const script = `
  const { armedFailpoints, failpoint } = await import(${JSON.stringify(MODULE)});
  const armed = armedFailpoints();
  await failpoint('machine.ready');
  console.log('went on with ' + JSON.stringify(armed));
`;
const args = ['--input-type=module', '-e', script];
const env = (failpoints?: string) => ({ ...process.env, ...(failpoints ? { VMLET_FAILPOINT: failpoints } : {}) });
const run = (failpoints?: string) => promisify(execFile)(process.execPath, args, { env: env(failpoints) });

test('failpoint: does nothing, when nothing or another step is armed', async () => {
  expect((await run()).stdout).toBe('went on with []\n');
  expect((await run('machine.booted=pause')).stdout).toBe('went on with ["machine.booted=pause"]\n');
});

test('failpoint: refuses names and actions that it does not know', async () => {
  for (const wrong of ['machine.redy=pause', 'machine.ready=sleep', 'machine.ready', '=pause']) {
    await expect(run(wrong)).rejects.toMatchObject({ stderr: expect.stringContaining('Cannot arm failpoint') });
  }
});

test('failpoint: is kill -9 of the process by itself, when it is told so', async () => {
  await expect(run('machine.ready=exit9')).rejects.toMatchObject({ signal: 'SIGKILL', stdout: '' });
});

test('failpoint: tells its parent and waits for its word, when it is to pause', async () => {
  const child = spawn(process.execPath, args, { env: env('all=pause'), stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const [told] = await once(child, 'message');
  expect(told).toEqual({ failpoint: 'machine.ready', id: expect.any(String) });
  const went = once(child.stdout!, 'data');
  child.send({ release: 'another' });
  child.send({ release: told.id });
  expect(String(await went)).toContain('went on');
  // The channel is open, and holds nothing up.
  expect(await once(child, 'exit')).toEqual([0, null]);
});
