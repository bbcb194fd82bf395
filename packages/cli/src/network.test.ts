import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { resolvePaths } from '@vmlet/host';
import { buildMessage } from '@vmlet/messages';
import { fileHashSchema } from '@vmlet/messages/schema';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { makeTestHome, type NodeProcess, type TestHome } from '../../../tests/framework/node-process.ts';
import { officialRuntime } from '../../../tests/framework/runtime.ts';
import { type CliResult, runCli, type TemporaryFolder, temporaryFolder } from './testing.ts';

const { cache } = resolvePaths();
const PROGRAM = `
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"vmlet-runtime-alias", b"a claim")]})
    await send({"type": "http.response.body", "body": b"hello"})
`;
const WELL_KNOWN = '63f07193e6ee9d207b7d1fcf8286f9aee34e6f12f101d2ec77c1229f92964696';

const stateSchema = z.looseObject({
  message: z.looseObject({ signature: z.string(), content: z.looseObject({ item_hash: z.string() }) }),
});

let home: TestHome;
let node: NodeProcess;
let folder: TemporaryFolder;

beforeAll(async () => {
  home = await makeTestHome();
  node = await home.start({ args: ['--allow', 'any'] });
  folder = await temporaryFolder({ 'app/main.py': PROGRAM });
});
afterAll(async () => {
  await folder?.[Symbol.asyncDispose]();
  await home?.[Symbol.asyncDispose]();
});

/** Somebody with a key of their own, and no node. */
async function as(who: string, ...args: string[]): Promise<CliResult> {
  const env = { VMLET_CONFIG: join(folder.path, who), VMLET_HOME: join(folder.path, 'none'), VMLET_CACHE: cache };
  return await runCli([...args, '--node', node.url], { env, cwd: folder.path });
}

/** The owner of the node. */
async function operator(...args: string[]): Promise<CliResult> {
  const env = { VMLET_CONFIG: join(home.home, '../config'), VMLET_HOME: home.home, VMLET_CACHE: cache };
  return await runCli(args, { env, cwd: folder.path });
}

/** The answer of a command that went well. */
function answer({ exitCode, stdout, stderr }: CliResult) {
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  return JSON.parse(stdout);
}

/** A runtime image that is different from others by its length. */
async function imageOf(name: string, paddingBytes: number): Promise<string> {
  const { imagePath } = await officialRuntime();
  const path = join(folder.path, name);
  await writeFile(path, Buffer.concat([await readFile(imagePath), Buffer.alloc(paddingBytes)]));
  return path;
}

describe('runtimes on the network', () => {
  test('vmlet runtime: is published by one key, found and shown by another, and runs its program', async () => {
    const { manifest } = await officialRuntime();
    await writeFile(join(folder.path, 'manifest.json'), JSON.stringify({ ...manifest, name: 'mine' }));
    await writeFile(join(folder.path, 'sbom.json'), '{"spdxVersion":"SPDX-2.3"}');
    const image = await imageOf('image', 4096);
    const publish = ['runtime', 'publish', image, '--manifest', 'manifest.json', '--sbom', 'sbom.json'];
    const published = answer(await as('alice', ...publish, '--json'));
    const { itemHash, address } = published;
    expect(published).toMatchObject({ name: 'mine', version: manifest.version, uploaded: true, updates: null });
    // Again is no new message.
    expect(answer(await as('alice', ...publish, '--json'))).toMatchObject({ itemHash, uploaded: false });

    const listed = answer(await as('bob', 'runtime', 'ls', '--network', '--json'));
    expect(listed.runtimes).toContainEqual(expect.objectContaining({ item_hash: itemHash, address }));
    const table = (await as('bob', 'runtime', 'ls', '--publisher', address)).stdout;
    expect(table).toMatch(new RegExp(`^NAME .*\\nmine +${manifest.version} +Debian .*${address} +${itemHash}\\n$`));

    const name = `${address}/mine`;
    const deployed = await as('bob', 'deploy', 'app', '--runtime', name, '--json');
    expect(deployed.stderr).toContain(`The runtime is mine ${manifest.version} of ${address} (${itemHash})`);
    expect(answer(deployed)).toMatchObject({ runtime: { itemHash, name: 'mine' }, name: 'app' });
    // Its name is bob's, and he and others call it by that.
    expect((await as('bob', 'invoke', 'app')).stdout).toBe('hello');
    const bob = /Its name is (0x\w+)\/app/.exec(deployed.stderr)?.[1];
    expect((await as('carol', 'invoke', `${bob}/app`)).stdout).toBe('hello');
    expect(await as('carol', 'invoke', `${bob}/other`)).toMatchObject({ exitCode: 3 });

    const shown = (await as('bob', 'runtime', 'show', `${name}@${manifest.version}`)).stdout;
    expect(shown).toMatch(new RegExp(`^publisher +${address}$`, 'm'));
    expect(shown).toMatch(/^used by +1 \([0-9a-f]{12}\)$/m);
    expect(shown).toMatch(/^sbom message +[0-9a-f]{64}$/m);
    expect(answer(await as('bob', 'runtime', 'show', itemHash, '--json'))).toMatchObject({ network: { address } });

    // A stranger's is never meant by its name alone.
    const bare = await as('bob', 'deploy', 'app', '--runtime', 'mine');
    expect(bare).toMatchObject({ exitCode: 3, stderr: expect.stringContaining(`${address}/mine@`) });
  });

  test('vmlet runtime publish: another version updates the first, and the name leads to it', async () => {
    const first = await imageOf('first', 8192);
    const second = await imageOf('second', 12_288);
    const one = answer(await as('alice', 'runtime', 'publish', first, '--name', 'next@1', '--json'));
    const taken = await as('alice', 'runtime', 'publish', second, '--name', 'next@1');
    expect(taken).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('expected a new version') });
    const two = answer(await as('alice', 'runtime', 'publish', second, '--name', 'next@2', '--json'));
    expect(two).toMatchObject({ updates: one.itemHash, version: '2' });
    const show = async (name: string) => answer(await as('alice', 'runtime', 'show', name, '--json')).network;
    expect(await show('next')).toMatchObject({
      item_hash: two.itemHash,
      versions: [{ version: '2' }, { version: '1' }],
    });
    expect(await show('next@1')).toMatchObject({ item_hash: one.itemHash });
    const forgotten = answer(await as('alice', 'forget', two.itemHash, '--json'));
    expect(forgotten.forgotten).toEqual([two.itemHash]);
    expect((await as('alice', 'runtime', 'show', 'next')).exitCode).toBe(3);
    const state = answer(await as('bob', 'message', 'show', two.itemHash, '--json'));
    expect(state).toMatchObject({ status: 'forgotten', forgotten_by: [forgotten.itemHash] });
    const text = (await as('bob', 'message', 'show', one.itemHash)).stdout;
    expect(text).toMatch(/^status +processed$/m);
    expect(text).toMatch(/^type +STORE$/m);
  });

  test('vmlet runtime alias: programs that name a well-known hash run on what the operator has signed, and say so', async () => {
    const unknown = await operator('runtime', 'show', WELL_KNOWN);
    expect(unknown).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('its equivalent is debian-12-python'),
    });
    const refused = await as('bob', 'runtime', 'alias', WELL_KNOWN, 'debian-12-python');
    expect(refused).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('expected your own address') });
    const target = (await operator('runtime', 'alias', WELL_KNOWN)).stdout.trim();
    expect(target).toMatch(/^[0-9a-f]{64}$/);
    expect((await operator('runtime', 'alias')).stdout).toMatch(new RegExp(`^${WELL_KNOWN} +on +${target}$`, 'm'));
    const shown = (await operator('runtime', 'show', WELL_KNOWN)).stdout;
    expect(shown).toMatch(new RegExp(`^alias +${WELL_KNOWN} leads here, by the operator$`, 'm'));

    const { itemHash } = answer(
      await operator('deploy', 'app', '--name', 'aliased', '--runtime', WELL_KNOWN, '--json'),
    );
    const response = await fetch(`${node.url}/vm/${itemHash}/`);
    expect(await response.text()).toBe('hello');
    expect(response.headers.get('vmlet-runtime-alias')).toBe(`${WELL_KNOWN}=${target}`);
    const plain = answer(await operator('deploy', 'app', '--name', 'plain', '--json'));
    expect((await fetch(`${node.url}/vm/${plain.itemHash}/`)).headers.get('vmlet-runtime-alias')).toBeNull();

    expect((await operator('runtime', 'alias', WELL_KNOWN, '--off')).exitCode).toBe(0);
    expect((await operator('runtime', 'alias')).stdout).toMatch(new RegExp(`^${WELL_KNOWN} +off`, 'm'));
  });
});

/** Uploads a file to IPFS, and signs a STORE of its CID. */
async function publishByCid(bytes: Buffer): Promise<{ cid: string; store: string }> {
  const form = new FormData();
  form.set('file', new Blob([new Uint8Array(bytes)]), 'file');
  const added = await fetch(`${node.url}/api/v0/ipfs/add_file`, { method: 'POST', body: form });
  const { hash } = z.object({ hash: fileHashSchema }).parse(await added.json());
  const content = { item_type: 'ipfs' as const, item_hash: hash };
  const message = await buildMessage({ signer: node.signer, type: 'STORE', content, now: new Date() });
  const body = JSON.stringify({ message, sync: true });
  const headers = { 'content-type': 'application/json' };
  const published = await fetch(`${node.url}/api/v0/messages`, { method: 'POST', headers, body });
  expect(published.status).toBe(200);
  return { cid: hash, store: message.item_hash };
}

/** What a node says of a message in force. */
async function stateOf(url: string, itemHash: string) {
  const response = await fetch(`${url}/api/v0/messages/${itemHash}`);
  return stateSchema.parse(await response.json());
}

/** A node that is none, and answers as it likes. */
async function hostile(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('vmlet runtime import', () => {
  test('runtime import: brings a message and its file as they were signed, or nothing', async () => {
    const image = await imageOf('imported', 16_384);
    const { itemHash, address } = answer(await as('alice', 'runtime', 'publish', image, '--name', 'far', '--json'));
    const state = await stateOf(node.url, itemHash);
    const fileHash = state.message.content.item_hash;
    const raw = `/api/v0/storage/raw/${fileHash}`;
    await using other = await makeTestHome();
    const second = await other.start();
    const env = { VMLET_HOME: other.home, VMLET_CONFIG: join(other.home, '../config'), VMLET_CACHE: cache };
    const bring = (from: string, hash = itemHash) => runCli(['runtime', 'import', '--from', from, hash], { env });

    const say = (value: unknown, file?: RequestListener) =>
      hostile((request, response) => {
        if (request.url === raw && file) file(request, response);
        else if (request.url?.startsWith('/api/v0/messages/')) {
          response.setHeader('content-type', 'application/json');
          response.end(JSON.stringify(value));
        } else response.writeHead(404).end();
      });
    const changed = (changes: object) => ({ ...state, message: { ...state.message, ...changes } });
    const attacks: [string, Awaited<ReturnType<typeof hostile>>][] = [
      ['other bytes', await say(state, (_request, response) => response.end('other bytes'))],
      [
        'a body that breaks off',
        await say(state, (_request, response) => void response.write('some', () => response.destroy())),
      ],
      [
        'a redirect',
        await say(state, (_request, response) => response.writeHead(302, { location: node.url + raw }).end()),
      ],
      ['a forged signature', await say(changed({ signature: `0x${'1'.repeat(128)}1b` }))],
      ['another content', await say(changed({ item_content: '{"address":"0x","time":1}' }))],
      ['another message', await say(changed({ item_hash: WELL_KNOWN }))],
      ['another sender', await say(changed({ sender: node.signer.address }))],
      ['another type', await say(changed({ type: 'POST' }))],
      ['no message', await say({ status: 'pending', item_hash: itemHash })],
      ['no JSON', await hostile((_request, response) => response.end('<html>'))],
    ];
    for (const [what, attacker] of attacks) {
      await using _ = attacker;
      const result = await bring(attacker.url);
      expect(result.exitCode, `${what}: ${result.stderr}`).toBeGreaterThan(1);
      expect(result.stdout, what).toBe('');
      expect((await fetch(`${second.url}/api/v0/messages/${itemHash}`)).status, what).toBe(404);
      expect((await fetch(second.url + raw, { method: 'HEAD' })).status, what).toBe(404);
    }
    expect(await bring(node.url)).toMatchObject({ exitCode: 0, stdout: `${itemHash}\n` });
    const brought = await stateOf(second.url, itemHash);
    expect(brought).toMatchObject({
      status: 'processed',
      message: { sender: address, signature: state.message.signature },
    });
    expect((await fetch(second.url + raw, { method: 'HEAD' })).status).toBe(200);
    expect(await bring(node.url)).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('here already') });
    // A file that is named by a CID comes as well.
    const { cid, store } = await publishByCid(Buffer.from('named by a CID'));
    expect(await bring(node.url, store)).toMatchObject({ exitCode: 0, stdout: `${store}\n` });
    expect(await (await fetch(`${second.url}/api/v0/storage/raw/${cid}`)).text()).toBe('named by a CID');
    const remote = await as('bob', 'runtime', 'import', '--from', second.url, itemHash);
    expect(remote).toMatchObject({ exitCode: 8, stderr: expect.stringContaining('owner socket') });
  });
});
