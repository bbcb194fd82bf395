import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { resolvePaths } from '@vmlet/host';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeTestHome, type NodeProcess, type TestHome } from '../../../tests/framework/node-process.ts';
import { type CliResult, runCli, type TemporaryFolder, temporaryFolder } from './testing.ts';

const BIN = fileURLToPath(new URL('../bin/vmlet', import.meta.url));
const PROGRAM = `
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the same"})
`;

let home: TestHome;
let node: NodeProcess;
let folder: TemporaryFolder;
let itemHash: string;

beforeAll(async () => {
  home = await makeTestHome();
  node = await home.start();
  folder = await temporaryFolder({ 'app/main.py': PROGRAM });
  const deployed = await vmlet(home, 'deploy', join(folder.path, 'app'), '--json');
  expect(deployed).toMatchObject({ exitCode: 0 });
  itemHash = JSON.parse(deployed.stdout).itemHash;
});
afterAll(async () => {
  await folder?.[Symbol.asyncDispose]();
  await home?.[Symbol.asyncDispose]();
});

function envOf({ home: path }: TestHome) {
  return { VMLET_HOME: path, VMLET_CONFIG: join(dirname(path), 'config'), VMLET_CACHE: resolvePaths().cache };
}

async function vmlet(of: TestHome, ...args: string[]): Promise<CliResult> {
  return await runCli(args, { env: envOf(of) });
}

/** Runs `vmlet` in a process of its own, and kills it when it says that it begins a step. False if it was done before. */
async function isKilledAt(of: TestHome, step: string, ...args: string[]): Promise<boolean> {
  const child = spawn(BIN, args, { env: { ...process.env, ...envOf(of) }, stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => void (text.includes(step) && child.kill('SIGKILL')));
  const [exitCode, signal] = await once(child, 'exit');
  if (signal === null) expect(exitCode).toBe(0);
  return signal === 'SIGKILL';
}

test('vmlet backup: of a node that runs, and restore: a node starts from it and serves the same program', async () => {
  const target = join(folder.path, 'backup');
  const backup = await vmlet(home, 'backup', target, '--json');
  expect(backup).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(backup.stdout)).toMatchObject({ target, missing: [] });
  await using other = await makeTestHome();
  await cp(join(dirname(home.home), 'config'), join(dirname(other.home), 'config'), { recursive: true });
  expect(await vmlet(other, 'restore', target)).toMatchObject({ exitCode: 0, stdout: `${other.home}\n` });
  const second = await other.start();
  for (const url of [node.url, second.url]) {
    for (const name of [itemHash, 'app']) expect(await (await fetch(`${url}/vm/${name}/`)).text()).toBe('the same');
  }
  // Neither takes the other for its own.
  expect(second.homeId).not.toBe(node.homeId);
  const taken = await vmlet(home, 'restore', target);
  expect(taken).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('something is in it') });
});

test('vmlet backup, vmlet restore: killed at any step leave nothing that looks whole, and work again', async () => {
  await using other = await makeTestHome();
  const target = join(folder.path, 'killed.tar');
  const isThere = async (path: string) => (await readdir(dirname(path))).includes(basename(path));
  for (const step of ['Copying the database', 'Copying files', 'Finishing the backup']) {
    if (await isThere(target)) break;
    // What has its name is whole, also where its process was killed after that.
    if (!(await isKilledAt(home, step, 'backup', target))) expect(await isThere(target), step).toBe(true);
  }
  if (!(await isThere(target))) expect((await vmlet(home, 'backup', target)).exitCode).toBe(0);
  for (const step of ['Checking and copying files', 'Checking the database']) {
    if (await isThere(other.home)) break;
    if (!(await isKilledAt(other, step, 'restore', target))) expect(await isThere(other.home), step).toBe(true);
  }
  if (!(await isThere(other.home))) expect((await vmlet(other, 'restore', target)).exitCode).toBe(0);
  const second = await other.start();
  expect((await fetch(`${second.url}/api/v0/messages/${itemHash}/status`)).status).toBe(200);
  expect(await (await fetch(`${node.url}/vm/${itemHash}/`)).text()).toBe('the same');
  expect((await readdir(dirname(other.home))).filter((name) => name.includes('unfinished'))).toEqual([]);
});
