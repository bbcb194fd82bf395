import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { run } from '@vmlet/host';
import { expect, test } from 'vitest';
import { makeTestHome, type NodeProcess, type TestHome } from '../framework/node-process.ts';
import { publishFile } from '../framework/publish.ts';
import { REPOSITORY } from '../framework/runtime.ts';
import { COLLECTING } from './collect-steps.ts';

/** What nothing needs goes at once. */
const ARGS = ['--allow', 'any', '--file-grace', '0ms'];
const LONG = ['--allow', 'any'];
const NEEDED = 'needed by a message';
const ORPHAN = 'hello world\n';
const ORPHAN_CID = 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o';

/** Asks the owner's socket to collect. */
async function collect(home: TestHome): Promise<unknown> {
  const asking = request({ socketPath: join(home.home, 'owner.sock'), path: '/gc', method: 'POST' });
  const answered = once(asking, 'response');
  asking.end();
  const [answer] = await answered;
  return await json(answer);
}

async function uploadOrphan({ url }: NodeProcess): Promise<void> {
  const form = new FormData();
  form.set('file', new Blob([ORPHAN]));
  const answer = await fetch(`${url}/api/v0/ipfs/add_file`, { method: 'POST', body: form });
  expect(await answer.json()).toMatchObject({ hash: ORPHAN_CID });
}

const statusOf = async ({ url }: NodeProcess, hash: string) =>
  (await fetch(`${url}/api/v0/storage/raw/${hash}`, { method: 'HEAD' })).status;

async function storedIn(home: TestHome): Promise<string[]> {
  const entries = await readdir(join(home.home, 'content'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

test.each(COLLECTING)('node killed at $step: what is needed stays, the rest goes with the next', async (row) => {
  await using home = await makeTestHome();
  let node = await home.start({ stepped: true, args: ARGS });
  const message = await publishFile(node, new Blob([NEEDED]));
  await uploadOrphan(node);
  const reached = node.steps.reached(row.step);
  const collecting = collect(home).catch(() => undefined);
  await reached;
  node.child.kill('SIGKILL');
  await once(node.child, 'exit');
  await collecting;
  node = await home.start({ args: LONG });
  expect(await statusOf(node, ORPHAN_CID)).toBe(row.isThere ? 200 : 404);
  const { file_hash } = (await (await fetch(`${node.url}/api/v0/storage/by-message-hash/${message}`)).json()) as never;
  expect(await statusOf(node, file_hash)).toBe(200);
  node.child.kill('SIGTERM');
  await once(node.child, 'exit');
  node = await home.start({ args: ARGS });
  expect(await collect(home)).toMatchObject({ waitingFiles: 0, heldFiles: 1 });
  expect(await storedIn(home)).toEqual([file_hash]);
  // What went can come again.
  await uploadOrphan(node);
  expect(await statusOf(node, ORPHAN_CID)).toBe(200);
});

test('gc: says what would go, and removes it', async () => {
  await using home = await makeTestHome();
  const node = await home.start({ args: ARGS });
  await uploadOrphan(node);
  const vmlet = join(REPOSITORY, 'packages/cli/bin/vmlet');
  const env = { ...process.env, VMLET_HOME: home.home };
  const gc = (...args: string[]) => run(vmlet, ['gc', ...args], { env });
  expect(JSON.parse(await gc('--dry-run', '--json'))).toMatchObject({ dryRun: true, files: 1, freedBytes: 12 });
  expect(await statusOf(node, ORPHAN_CID)).toBe(200);
  expect(await gc()).toContain('removed   1 files, 0 code images  0.0 MiB');
  expect(await statusOf(node, ORPHAN_CID)).toBe(404);
});
