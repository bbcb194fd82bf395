import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { resolvePaths } from '@vmlet/host';
import { type RunningNode, startNode } from '@vmlet/node';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliResult, runCli, type TemporaryFolder, temporaryFolder } from './testing.ts';

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));
const BIN = fileURLToPath(new URL('../bin/vmlet', import.meta.url));
const { cache } = resolvePaths();

let folder: TemporaryFolder;
let node: RunningNode;

beforeAll(async () => {
  folder = await temporaryFolder();
  node = await startNode({
    home: join(folder.path, 'home'),
    config: join(folder.path, 'config'),
    cache,
    listen: { host: '127.0.0.1', port: 0 },
    allow: 'own',
    snapshotBudgetMiB: 0,
  });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

/** Runs `vmlet` as the owner of the node. */
async function vmlet(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  const own = { VMLET_HOME: join(folder.path, 'home'), VMLET_CONFIG: join(folder.path, 'config'), VMLET_CACHE: cache };
  return await runCli(args, { env: { ...own, ...env } });
}

/** A wheel of one module, in plain files: what a build tool would make. */
function wheel(): Uint8Array {
  const text = (value: string) => new TextEncoder().encode(value);
  const info = 'tiny-1.0.dist-info';
  const files = {
    'tiny.py': text("NAME = 'tiny 1.0'\n"),
    [`${info}/METADATA`]: text('Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n'),
    [`${info}/WHEEL`]: text('Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n'),
    [`${info}/RECORD`]: text(`tiny.py,,\n${info}/METADATA,,\n${info}/WHEEL,,\n${info}/RECORD,,\n`),
  };
  return zipSync(files, { level: 0 });
}

describe('vmlet', () => {
  test('vmlet: deploys, lists, calls, reads logs and removes, when all is well', async () => {
    const deployed = await vmlet(['deploy', join(EXAMPLES, 'python-hello')]);
    expect(deployed.exitCode).toBe(0);
    const [url = '', hostUrl = '', itemHash = ''] = deployed.stdout.trimEnd().split('\n');
    expect(itemHash).toMatch(/^[0-9a-f]{64}$/);
    expect(url).toBe(`${node.url}/vm/python-hello/`);
    expect(hostUrl).toMatch(/^http:\/\/python-hello\.vm\.localhost:\d+\/$/);
    expect(deployed.stderr).toContain('Guessed the entrypoint main:app');

    const again = await vmlet(['deploy', join(EXAMPLES, 'python-hello'), '--name', 'again', '--json']);
    expect(JSON.parse(again.stdout)).toMatchObject({ name: 'again', code: { uploaded: false } });
    await vmlet(['rm', 'again', '--yes']);

    const called = await vmlet(['invoke', 'python-hello', '/you', '--timing']);
    expect(called).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^Hello, you! This is Python 3/) });
    expect(called.stderr).toMatch(/ {2}boot +\d/);
    const asJson = await vmlet(['invoke', itemHash.slice(0, 8), '/', '--json']);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ status: 200, bodyEncoding: 'utf8', timing: { phases: {} } });

    const listed = await vmlet(['ls']);
    expect(listed.stdout).toMatch(/^NAME +HASH .*\npython-hello {2}[0-9a-f]{12} {2}running {2}256 MiB {2}2 .*\n$/);
    const lines = (await vmlet(['logs', 'python-hello', '--json'])).stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(expect.objectContaining({ stream: 'platform' }));

    const asked = await vmlet(['rm', 'python-hello']);
    expect(asked).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('expected a terminal or --yes') });
    const removed = await vmlet(['rm', 'python-hello', '--yes', '--json']);
    expect(JSON.parse(removed.stdout)).toMatchObject({ removed: itemHash });
    expect((await vmlet(['ls', '--json'])).stdout).toBe('{"programs":[]}\n');
    const gone = await vmlet(['invoke', itemHash]);
    expect(gone.exitCode).toBe(3);
    expect(gone.stderr).toContain('error: Cannot find the program');
  });

  test('vmlet invoke: ends with status 5 and the traceback, when the program does not load', async () => {
    await using program = await temporaryFolder({ 'main.py': 'import nosuch\napp = 1\n' });
    await vmlet(['deploy', program.path, '--name', 'broken']);
    const { exitCode, stdout, stderr } = await vmlet(['invoke', 'broken']);
    expect(exitCode).toBe(5);
    expect(JSON.parse(stdout)).toMatchObject({ code: 'PROGRAM_LOAD_FAILED' });
    expect(stderr).toContain("  | ModuleNotFoundError: No module named 'nosuch'");
    expect(stderr).toMatch(/\nerror: Cannot load the program: .*\n {2}next: .*vmlet logs [0-9a-f]{12}\n$/);
  });

  test('vmlet invoke: sends bodies and headers, and passes on what is not a success', async () => {
    const main = `
async def app(scope, receive, send):
    assert scope['type'] == 'http'
    body = b''
    more = True
    while more:
        message = await receive()
        body, more = body + message.get('body', b''), message.get('more_body')
    headers = dict(scope['headers'])
    text = b' '.join([scope['method'].encode(), scope['raw_path'], headers.get(b'content-type', b'-'), body])
    status = 418 if b'teapot' in scope['raw_path'] else 200
    await send({'type': 'http.response.start', 'status': status, 'headers': [(b'x-seen', b'yes')]})
    await send({'type': 'http.response.body', 'body': text})
`;
    await using program = await temporaryFolder({ 'main.py': main, 'data.bin': 'some bytes' });
    await vmlet(['deploy', program.path, '--name', 'echo']);
    const body = async (...args: string[]) => (await vmlet(['invoke', 'echo', ...args])).stdout;
    expect(await body('a b')).toBe('GET /a%20b - ');
    expect(await body('/', '-d', '{"a":1}')).toBe('POST / application/json {"a":1}');
    expect(await body('/', '-X', 'put', '-d', 'x', '-H', 'Content-Type: a/b')).toBe('PUT / a/b x');
    expect(await body('/', '-d', `@${join(program.path, 'data.bin')}`)).toBe(
      'POST / application/octet-stream some bytes',
    );
    const teapot = await vmlet(['invoke', 'echo', '/teapot', '-i']);
    expect(teapot.exitCode).toBe(5);
    expect(teapot.stdout).toMatch(/^HTTP\/1\.1 418 .*\nx-seen: yes\n[\s\S]*\n\nGET \/teapot - $/);
    expect(teapot.stderr).toContain('the program answered 418, expected a 2xx');
  });

  test('vmlet deploy: installs requirements inside the runtime, and once only, when there are any', async () => {
    await using program = await temporaryFolder({
      'app.py': 'import tiny\nfrom flask import Flask\napp = Flask(__name__)\napp.route("/")(lambda: tiny.NAME)\n',
      'requirements.txt': '--no-index\n--find-links .\ntiny==1.0\n',
    });
    await writeFile(join(program.path, 'tiny-1.0-py3-none-any.whl'), wheel());
    await using own = await temporaryFolder();
    // A cache of its own for what is installed; the runtime is the shared one's.
    const runtime = JSON.parse((await vmlet(['deploy', join(EXAMPLES, 'python-hello'), '--json'])).stdout).runtime;
    const deploy = () =>
      vmlet(['deploy', program.path, '--name', 'req', '--runtime', runtime.itemHash], { VMLET_CACHE: own.path });
    const first = await deploy();
    expect(first).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('Installing requirements.txt') });
    const second = await deploy();
    expect(second.stderr).not.toContain('Installing requirements.txt');
    expect(second.stderr).toContain('nothing was uploaded');
    expect((await vmlet(['invoke', 'req'])).stdout).toBe('tiny 1.0');

    await writeFile(join(program.path, 'requirements.txt'), '--no-index\nnosuchpackage==1\n');
    const failed = await deploy();
    expect(failed.exitCode).toBe(7);
    expect(failed.stderr).toContain('  | ERROR: No matching distribution found for nosuchpackage==1');
  });

  test('vmlet deploy: is refused with status 4, when the key is not allowed', async () => {
    await using other = await temporaryFolder();
    const args = ['deploy', join(EXAMPLES, 'python-hello'), '--name', 'theirs'];
    const { exitCode, stderr } = await vmlet(args, { VMLET_CONFIG: other.path });
    expect(exitCode).toBe(4);
    expect(stderr).toContain('Made your key: ');
    expect(stderr).toContain('error: Cannot publish for ');
  });

  test('vmlet deploy: refuses a runtime with status 3, when there is none of that name or hash', async () => {
    for (const runtime of ['nope', '../debian-12-python', 'f'.repeat(64)]) {
      const { exitCode, stderr } = await vmlet(['deploy', join(EXAMPLES, 'python-hello'), '--runtime', runtime]);
      expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringContaining('Cannot find the runtime') });
    }
  });

  test('vmlet block: blocks, lists, reads its file again and unblocks, when it is asked to', async () => {
    const [address, hash] = ['0x238224C744F4b90b4494516e074D2676ECfC6803', 'f'.repeat(64)];
    expect(await vmlet(['block', address, hash, '--reason', 'spam \u001b[31m'])).toMatchObject({
      exitCode: 0,
      stdout: '',
    });
    expect((await vmlet(['block'])).stdout).toBe(`${address}  spam [31m\n${hash}  spam [31m\n`);
    expect((await vmlet(['unblock', address.toLowerCase(), 'nobody'])).stderr).toMatch(
      /Unblocked 0x[\s\S]*Was not blocked: nobody/,
    );
    await writeFile(join(folder.path, 'home', 'block-list'), `${address} # by hand\n`);
    const reloaded = await vmlet(['block', '--reload', '--json']);
    expect(JSON.parse(reloaded.stdout)).toEqual({ entries: [{ what: address, reason: 'by hand' }] });
    expect((await vmlet(['block', 'two words'])).exitCode).toBe(7);
    await vmlet(['unblock', address]);
    expect((await vmlet(['block'])).stdout).toBe('');
  });

  test('vmlet doctor: asks the node, when one runs', async () => {
    const { exitCode, stdout } = await vmlet(['doctor', '--json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ source: 'node', checks: expect.arrayContaining([]) });
  });

  test('vmlet doctor: looks by itself, when no node runs', async () => {
    await using home = await temporaryFolder();
    const { exitCode, stdout } = await vmlet(['doctor'], { VMLET_HOME: home.path });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ok {5} {2}Platform .*Linux on x86_64\n/);
    expect(stdout).toMatch(/^(ok|warning) +Machines /m);
  });

  test('vmlet logs: follows until its reader has had enough, when piped into head', async () => {
    const { itemHash } = JSON.parse((await vmlet(['deploy', join(EXAMPLES, 'python-hello'), '--json'])).stdout);
    await vmlet(['invoke', itemHash]);
    const env = { ...process.env, VMLET_HOME: join(folder.path, 'home') };
    const child = spawn('sh', ['-c', `{ "${BIN}" logs -f ${itemHash}; echo "status $?" >&2; } | head -n 1`], { env });
    const status = once(createInterface({ input: child.stderr }), 'line');
    await once(createInterface({ input: child.stdout }), 'line');
    // The closed pipe is noticed with the next line that is written.
    await vmlet(['rm', itemHash, '--yes']);
    expect(await status).toEqual(['status 0']);
  });

  test('vmlet: fails with status 8, when stdout takes nothing', async () => {
    const child = spawn('sh', ['-c', `"${BIN}" --version > /dev/full`], { stdio: 'ignore' });
    expect(await once(child, 'exit')).toEqual([8, null]);
  });

  test('vmlet up: prints where it is, is the only one of its home, and ends with 0, when told to', async () => {
    await using home = await temporaryFolder();
    const env = { ...process.env, VMLET_CONFIG: join(home.path, 'config') };
    const args = ['up', '--listen', '127.0.0.1:0', '--home', join(home.path, 'home'), '--json'];
    const child = spawn(BIN, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const { url, pid } = JSON.parse(line);
    expect(pid).toBe(child.pid);
    expect((await fetch(`${url}/api/v0/version`)).status).toBe(200);
    const second = await runCli(args, { env: { VMLET_CONFIG: join(home.path, 'config'), VMLET_CACHE: cache } });
    expect(second.exitCode).toBe(8);
    expect(JSON.parse(second.stderr.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      error: { code: 'HOME_LOCKED' },
    });
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });
});
