import { dirname, join } from 'node:path';
import { resolvePaths } from '@vmlet/host';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeTestHome, type TestHome } from '../../../tests/framework/node-process.ts';
import { type CliResult, runCli, type TemporaryFolder, temporaryFolder } from './testing.ts';

let home: TestHome;
let folder: TemporaryFolder;
beforeAll(async () => {
  home = await makeTestHome();
  await home.start();
  folder = await temporaryFolder({ 'app/main.py': 'async def app(scope, receive, send):\n    pass\n' });
});
afterAll(async () => {
  await folder?.[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

async function vmlet(...args: string[]): Promise<CliResult> {
  const config = join(dirname(home.home), 'config');
  const env = { VMLET_HOME: home.home, VMLET_CONFIG: config, VMLET_CACHE: resolvePaths().cache };
  return await runCli(args, { env, cwd: folder.path });
}

test('price: says what a folder would cost, and what a program does, in one line and its parts', async () => {
  const before = await vmlet('price', './app', '--memory', '4096', '--internet');
  expect(before).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('Nothing is charged here') });
  // Two compute units, twice for the internet; what is on disk comes with them.
  expect(before.stdout).toMatch(
    /^800 tokens held\n {2}program +800 *\n {2}EXECUTION_PROGRAM_VOLUME_CODE +0\.00000\d+ +0 MiB\n/,
  );
  const always = JSON.parse((await vmlet('price', './app', '--persistent', '--payment', 'credit', '--json')).stdout);
  expect(always).toMatchObject({ payment_type: 'credit', cost: '15.277777777777777777' });
  const deployed = JSON.parse((await vmlet('deploy', './app', '--json', '--no-wait')).stdout);
  const named = await vmlet('price', 'app');
  expect(named.stdout).toMatch(/^200 tokens held\n {2}program +200 *\n {2}EXECUTION_PROGRAM_VOLUME_CODE /);
  expect((await vmlet('price', deployed.itemHash)).stdout).toBe(named.stdout);
  expect((await vmlet('price', deployed.code.itemHash)).stdout).toMatch(/^0\.000\d+ tokens held\n {2}STORAGE /);
});

test('price: says what is wrong, when there is nothing of that name', async () => {
  expect(await vmlet('price', 'nothing')).toMatchObject({ exitCode: 3, stdout: '' });
  const unknown = await vmlet('price', 'a'.repeat(64));
  expect(unknown.exitCode).not.toBe(0);
  expect(unknown.stderr).toContain('it was never accepted here');
});
