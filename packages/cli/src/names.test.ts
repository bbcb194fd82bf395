import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { resolvePaths } from '@vmlet/host';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeTestHome, type NodeProcess, type TestHome } from '../../../tests/framework/node-process.ts';
import { type CliResult, runCli, type TemporaryFolder, temporaryFolder } from './testing.ts';

/** Says its word; holds `/hold` until `/release`. */
const program = (word: string) => `
import asyncio
held = asyncio.Event()
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/hold":
        await held.wait()
    if scope["path"] == "/release":
        held.set()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"${word}"})
`;

let home: TestHome;
let node: NodeProcess;
let folder: TemporaryFolder;

beforeAll(async () => {
  home = await makeTestHome();
  node = await home.start();
  folder = await temporaryFolder();
});
afterAll(async () => {
  await folder?.[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

async function vmletIn(more: Record<string, string>, ...args: string[]): Promise<CliResult> {
  const config = join(dirname(home.home), 'config');
  const env = { VMLET_HOME: home.home, VMLET_CONFIG: config, VMLET_CACHE: resolvePaths().cache };
  return await runCli(args, { env: { ...env, ...more } });
}

const vmlet = (...args: string[]) => vmletIn({}, ...args);

/** Deploys the folder "shop" with another word; its item_hash. */
async function deploy(word: string, ...args: string[]): Promise<string> {
  const path = join(folder.path, 'shop');
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'main.py'), program(word));
  const { exitCode, stdout, stderr } = await vmlet('deploy', path, '--json', ...args);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  return JSON.parse(stdout).itemHash;
}

const byPath = async (name = 'shop', path = '/') => (await fetch(`${node.url}/vm/${name}${path}`)).text();

interface Answer {
  status: number;
  body: string;
}

/** Asks on a host name, over connections that are kept. */
async function byHost(agent: Agent, name = 'shop'): Promise<Answer> {
  const { hostname, port } = new URL(node.url);
  const asked = request({ agent, hostname, port, headers: { host: `${name}.vm.localhost:${port}` } }).end();
  const [answer] = await once(asked, 'response');
  return { status: answer.statusCode, body: await text(answer) };
}

/** Asks without a pause, several at a time, while something is done; every answer, in the order of each client. */
async function under<T>(work: () => Promise<T>): Promise<{ clients: Answer[][]; result: T }> {
  using agent = Object.assign(new Agent({ keepAlive: true }), { [Symbol.dispose]: () => agent.destroy() });
  let over = false;
  const client = async () => {
    const answers: Answer[] = [];
    while (!over) answers.push(await byHost(agent));
    answers.push(await byHost(agent));
    return answers;
  };
  const clients = [client(), client(), client()];
  try {
    const result = await work();
    over = true;
    return { clients: await Promise.all(clients), result };
  } finally {
    over = true;
    await Promise.allSettled(clients);
  }
}

/** What each client was told, without repetition. */
const wordsOf = (answers: Answer[]) =>
  answers.map(({ status, body }) => `${status} ${body}`).filter((word, index, all) => word !== all[index - 1]);

async function killNode(): Promise<void> {
  node.child.kill('SIGKILL');
  await once(node.child, 'exit');
  node = await home.start();
}

describe('names', () => {
  let first: string;

  test('vmlet deploy: names the program by its folder, and its URL by that name', async () => {
    const path = join(folder.path, 'Shop');
    await mkdir(path);
    await writeFile(join(path, 'main.py'), program('one'));
    const { stdout } = await vmlet('deploy', path);
    const [url, hostUrl, itemHash = ''] = stdout.trimEnd().split('\n');
    const { port } = new URL(node.url);
    expect([url, hostUrl]).toEqual([`${node.url}/vm/shop/`, `http://shop.vm.localhost:${port}/`]);
    expect(await byPath()).toBe('one');
    expect(await byPath(itemHash)).toBe('one');
    first = itemHash;
  });

  test('vmlet deploy: moves the name without one failed request, and what is under way ends where it began', async () => {
    const held = byPath('shop', '/hold');
    const { clients, result: second } = await under(() => deploy('two'));
    for (const answers of clients) expect(wordsOf(answers)).toEqual(['200 one', '200 two']);
    expect(await byPath(first, '/release')).toBe('one');
    expect(await held).toBe('one');
    const listed = JSON.parse((await vmlet('name', 'ls', '--json')).stdout).names;
    expect(listed).toMatchObject([{ name: 'shop', itemHash: second, versions: [{ version: 2 }, { version: 1 }] }]);
    expect((await vmlet('ls')).stdout).toMatch(/^NAME .*\nshop {2}[^\n]*\n$/);
  });

  test('vmlet deploy: leaves the old version serving and says why, when the new one does not start', async () => {
    const path = join(folder.path, 'shop');
    await writeFile(join(path, 'main.py'), 'import nothing_here\napp = 1\n');
    const { clients, result } = await under(() => vmlet('deploy', path));
    for (const answers of clients) expect(wordsOf(answers)).toEqual(['200 two']);
    expect(result.exitCode).toBe(5);
    expect(result.stdout).toBe('');
    expect(result.stderr).toContain("  | ModuleNotFoundError: No module named 'nothing_here'");
    expect(result.stderr).toMatch(/\nerror: Cannot move "shop" to the new version "[0-9a-f]{12}": it does not start/);
    const ls = await vmlet('ls');
    expect(ls.stdout).toMatch(/^NAME .*\nshop {2}[^\n]*\n$/);
    expect(ls.stderr).toContain('2 older or failed versions');
    expect((await vmlet('ls', '--all')).stdout).toMatch(/^NAME .*\n\(shop\) [^\n]*\nshop [^\n]*\nshop@1 [^\n]*\n$/);
  });

  test('vmlet rollback: goes back to what served, after the node was killed too', async () => {
    await killNode();
    expect(await byPath()).toBe('two');
    expect((await vmlet('rollback', 'shop')).stderr).toContain('shop is at version 1 now');
    await killNode();
    expect(await byPath()).toBe('one');
    const again = await vmlet('rollback', 'shop');
    expect(again).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('it has no earlier one') });
    expect((await vmlet('rollback', 'shop', '2', '--json')).exitCode).toBe(0);
    expect(await byPath()).toBe('two');
  });

  test('vmlet restart: gives a fresh machine without one failed request', async () => {
    const pidOf = async () =>
      JSON.parse((await vmlet('ls', '--json')).stdout).programs.find((one: { pid: number | null }) => one.pid)?.pid;
    const before = await pidOf();
    const { clients, result } = await under(() => vmlet('restart', 'shop'));
    for (const answers of clients) expect(wordsOf(answers)).toEqual(['200 two']);
    expect(result.stderr).toMatch(/shop runs on a fresh machine \(started in .* s\)/);
    expect(await pidOf()).not.toBe(before);
  });

  test('vmlet top: shows what machines use, as a table and as JSON', async () => {
    expect(await byPath()).toBe('two');
    const { exitCode, stdout } = await vmlet('top', '--once');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^NAME +HASH +STATE +CPU +MEMORY +IN FLIGHT +SERVED +UP\n/);
    expect(stdout).toMatch(/^shop +[0-9a-f]{12} +(running|paused) +[\d.]+ % +\d+ MiB +0 +\d+ +\d+s$/m);
    const { machines } = JSON.parse((await vmlet('top', '--once', '--json')).stdout);
    const shop = machines.find(({ name }: { name: string }) => name === 'shop');
    expect(shop).toMatchObject({ pid: expect.any(Number), cpuPercent: expect.any(Number) });
    // QEMU itself is larger than that, whatever its guest has touched.
    expect(shop.memoryMiB).toBeGreaterThan(40);
  });

  test('vmlet cool: brings a program to a temperature, which the list shows', async () => {
    expect((await vmlet('cool', 'shop', '--to', 'paused')).stderr).toContain('shop is now: paused');
    expect((await vmlet('ls')).stdout).toMatch(/\nshop +[0-9a-f]{12} +paused /);
    expect(await byPath()).toBe('two');
    expect(JSON.parse((await vmlet('cool', 'shop', '--to', 'paused', '--json')).stdout)).toMatchObject({
      state: 'paused',
    });
    expect((await vmlet('cool', 'shop', '--to', 'ice')).exitCode).toBe(2);
  });

  test('vmlet completion: knows the names of programs, when a node runs', async () => {
    // A while after the last request its machine is paused.
    for (const words of [
      ['logs', 'sh'],
      ['rollback', ''],
    ]) {
      expect((await vmlet('__complete', '--', ...words)).stdout).toMatch(/^shop\t(running|paused)\n:none\n$/);
    }
  });

  test('vmlet stop: refuses requests until it is started, after the node was killed too', async () => {
    expect((await vmlet('stop', 'shop')).stderr).toContain('it answers again after: vmlet start shop');
    const refused = async () => (await fetch(`${node.url}/vm/shop/`)).json();
    expect(await refused()).toMatchObject({ status: 503, code: 'PROGRAM_STOPPED' });
    const invoked = await vmlet('invoke', 'shop');
    expect(invoked).toMatchObject({ exitCode: 8, stderr: expect.stringContaining('next: If the program is yours') });
    await killNode();
    expect(await refused()).toMatchObject({ status: 503, code: 'PROGRAM_STOPPED' });
    expect((await vmlet('ls')).stdout).toMatch(/\nshop +[0-9a-f]{12} +stopped /);
    expect((await vmlet('start', 'shop')).stderr).toMatch(/shop runs \(started in .* s\)/);
    expect(await byPath()).toBe('two');
  });

  test('vmlet name: changes a name and gives one, and the names of others are refused', async () => {
    expect((await vmlet('name', 'shop', 'store')).stdout).toContain(`${node.url}/vm/store/\n`);
    expect(await byPath('store')).toBe('two');
    expect((await fetch(`${node.url}/vm/shop/`)).status).toBe(404);
    using agent = Object.assign(new Agent(), { [Symbol.dispose]: () => agent.destroy() });
    expect(await byHost(agent, 'shop')).toMatchObject({ status: 404 });
    expect(await byHost(agent, 'store')).toEqual({ status: 200, body: 'two' });
    expect((await vmlet('name', first, 'old')).exitCode).toBe(0);
    expect((await vmlet('name', 'old', 'store')).exitCode).toBe(4);
    expect((await vmlet('name', 'old', 'www')).exitCode).toBe(7);
    expect((await vmlet('name', 'old', 'O l d')).exitCode).toBe(2);
    expect((await vmlet('name', 'rm', 'old')).stderr).toContain('The name old is free');
    expect((await vmlet('invoke', 'store@2')).stdout).toBe('two');
  });

  test('vmlet deploy: moves the name at once, when told not to wait', async () => {
    const { itemHash } = JSON.parse(
      (await vmlet('deploy', join(folder.path, 'shop'), '--name', 'store', '--no-wait', '--json')).stdout,
    );
    expect(await byPath('store')).toContain('PROGRAM_LOAD_FAILED');
    expect((await vmlet('rm', itemHash, '--yes')).stderr).toContain('warning: store leads nowhere now');
    expect((await fetch(`${node.url}/vm/store/`)).status).toBe(404);
    expect((await vmlet('rollback', 'store')).exitCode).toBe(0);
    expect(await byPath('store')).toBe('two');
  });

  test('vmlet deploy: has the URL of the version, when only that of the node is known', async () => {
    await writeFile(join(folder.path, 'shop/main.py'), program('far'));
    const away = { VMLET_HOME: join(folder.path, 'nowhere'), VMLET_NODE: node.url };
    const deployed = await vmletIn(away, 'deploy', join(folder.path, 'shop'));
    const [url, itemHash, ...more] = deployed.stdout.trimEnd().split('\n');
    expect({ url, more }).toEqual({ url: `${node.url}/vm/${itemHash}/`, more: [] });
    expect(deployed.stderr).toMatch(/^Its name is 0x[0-9a-fA-F]{40}\/shop$/m);
    expect(await vmletIn(away, 'invoke', 'store')).toMatchObject({ exitCode: 0, stdout: 'two' });
  });

  test('vmlet deploy: takes another name, when that of the folder is reserved', async () => {
    const path = join(folder.path, 'api');
    await mkdir(path);
    await writeFile(join(path, 'main.py'), program('api'));
    const deployed = await vmlet('deploy', path);
    expect(deployed.stdout).toContain(`${node.url}/vm/api-app/\n`);
    expect(deployed.stderr).toContain('The name api is reserved: this is api-app');
    expect((await vmlet('deploy', path, '--name', 'api')).exitCode).toBe(7);
    expect((await vmlet('rm', 'api-app', '--yes')).exitCode).toBe(0);
  });

  test('vmlet rm: removes a name with all its versions', async () => {
    const { forgotten } = JSON.parse((await vmlet('rm', 'store', '--yes', '--json')).stdout);
    expect(forgotten).toContain(first);
    expect(JSON.parse((await vmlet('name', 'ls', '--json')).stdout)).toEqual({ names: [] });
    expect((await fetch(`${node.url}/vm/store/`)).status).toBe(404);
  });
});
