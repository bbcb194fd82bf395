import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { resolvePaths } from '@vmlet/host';
import { type RunningNode, startNode } from '@vmlet/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliResult, runCli, type TemporaryFolder, temporaryFolder } from './testing.ts';

const BIN = fileURLToPath(new URL('../bin/vmlet', import.meta.url));
const STATIC_SERVER = fileURLToPath(new URL('../../../bench/hello.c', import.meta.url));
const run = promisify(execFile);
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

const environment = () => ({
  VMLET_HOME: join(folder.path, 'home'),
  VMLET_CONFIG: join(folder.path, 'config'),
  VMLET_CACHE: cache,
});

/** Runs `vmlet` as the owner of the node. */
async function vmlet(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  return await runCli(args, { env: { ...environment(), ...env } });
}

/** Deploys, and fails with what was said if that fails. */
async function deploy(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  const deployed = await vmlet(['deploy', ...args], env);
  expect(deployed.exitCode, deployed.stderr).toBe(0);
  return deployed;
}

/** The content of a message that the node has. */
async function contentOf(itemHash: string): Promise<{ metadata: object }> {
  const response = await fetch(`${node.url}/api/v0/messages/${itemHash}`);
  const { message } = (await response.json()) as { message: { content: { metadata: object } } };
  return message.content;
}

/** item_hash of the official runtime: found by it, it needs no look into a cache. */
async function nodeRuntime(): Promise<string> {
  await using program = await temporaryFolder({ 'index.js': '' });
  return JSON.parse((await deploy([program.path, '--name', 'none', '--no-wait', '--json'])).stdout).runtime.itemHash;
}

const invoked = async (name: string, path = '/') => (await vmlet(['invoke', name, path])).stdout;

/** An archive of a package with a command, as `npm pack` makes them. */
async function packageArchive(path: string): Promise<void> {
  await using made = await temporaryFolder({
    'package/package.json': JSON.stringify({ name: 'tiny', version: '1.0.0', bin: 'cli.js', main: 'index.js' }),
    'package/index.js': "module.exports = 'tiny 1.0.0';",
    'package/cli.js': '#!/usr/bin/env node\n',
  });
  await run('tar', ['-czf', path, '-C', made.path, 'package']);
}

const USES_TINY = {
  'package.json': JSON.stringify({
    dependencies: { tiny: 'file:tiny.tgz' },
    devDependencies: { 'not-there': '1.0.0' },
    scripts: { start: 'node src/server.js', prepare: 'exit 1' },
  }),
  'src/server.js': `
    const tiny = require('tiny');
    require('node:http').createServer((request, response) => response.end(tiny)).listen(process.env.PORT);`,
};

describe('vmlet deploy', () => {
  test('vmlet deploy: installs package.json with the runtime’s npm, and once only, when node_modules is not there', async () => {
    await using program = await temporaryFolder(USES_TINY);
    await packageArchive(join(program.path, 'tiny.tgz'));
    await using own = await temporaryFolder();
    const runtime = await nodeRuntime();
    const again = () =>
      deploy([program.path, '--name', 'npm', '--no-wait', '--runtime', runtime], { VMLET_CACHE: own.path });
    const first = await again();
    expect(first.stderr).toContain(
      'Guessed the entrypoint src/server.js: package.json starts it with "node src/server.js"',
    );
    expect(first.stderr).toContain('inside the runtime, because there is no node_modules');
    expect(first.stderr).toContain('Installing package.json\n');
    const second = await again();
    expect(second.stderr).not.toContain('Installing package.json\n');
    expect(second.stderr).toContain('nothing was uploaded');
    expect(await invoked('npm')).toBe('tiny 1.0.0');
  });

  test('vmlet deploy --no-snapshot: says in the message that no machine of the program may be saved', async () => {
    await using program = await temporaryFolder({ 'index.mjs': 'export default () => new Response();' });
    const args = [program.path, '--name', 'kept', '--no-wait', '--json'];
    for (const [more, metadata] of [
      [[], { name: 'kept' }],
      [['--no-snapshot'], { name: 'kept', snapshot: false }],
    ] as const) {
      const { itemHash } = JSON.parse((await deploy([...args, ...more])).stdout) as { itemHash: string };
      expect((await contentOf(itemHash)).metadata).toEqual(metadata);
    }
  });

  test('vmlet deploy: shows what npm says, when it fails inside the runtime', async () => {
    const manifest = JSON.stringify({ main: 'a.js', dependencies: { tiny: 'file:absent.tgz' } });
    await using program = await temporaryFolder({ 'package.json': manifest, 'a.js': '' });
    const failed = await vmlet(['deploy', program.path, '--name', 'npm', '--runtime', await nodeRuntime()]);
    expect(failed.exitCode).toBe(7);
    expect(failed.stderr).toMatch(/ {2}\| npm error .*absent\.tgz/);
    expect(failed.stderr).toContain('error: Cannot install "package.json": ');
  });

  test('vmlet deploy: packs node_modules as it is, without what development needs, when it is as package.json wants', async () => {
    await using program = await temporaryFolder({
      'package.json': JSON.stringify({
        type: 'module',
        main: 'app.ts',
        dependencies: { one: '1' },
        devDependencies: { two: '1' },
      }),
      'app.ts': `
        import { word } from 'one';
        import { existsSync } from 'node:fs';
        const answer = (): string => word + ' ' + existsSync('/opt/code/node_modules/two');
        export default { fetch: (request: Request): Response => new Response(answer()) };`,
      'node_modules/one/package.json': '{ "name": "one", "version": "1.0.0", "type": "module" }',
      'node_modules/one/index.js': "export const word = 'one';",
      'node_modules/two/package.json': '{ "name": "two", "version": "1.0.0" }',
      'node_modules/two/index.js': '',
    });
    const { stderr } = await deploy([program.path, '--name', 'typed']);
    expect(stderr).toMatch(/Packing node_modules as it is here: 1 packages/);
    expect(stderr).toContain('TypeScript: Node.js strips the types');
    expect(await invoked('typed')).toBe('one false');
  });

  test('vmlet deploy: bundles, when asked, and stacks name the lines of the sources', async () => {
    await using program = await temporaryFolder({
      'package.json': JSON.stringify({ main: 'app.tsx', dependencies: { one: '1' } }),
      'app.tsx': `
        import { word } from 'one';
        enum Kind { Page }
        const h = (tag: string, _props: null, text: string) => '<' + tag + '>' + text;
        export default (request, response) => {
          if (request.url === '/fail') throw new Error('on line 6');
          /** @jsx h */
          response.end(require('node:fs').readFileSync('page.txt', 'utf8') + word + Kind[0]);
        };`,
      'page.txt': 'page ',
      'node_modules/one/package.json': '{ "name": "one", "version": "1.0.0" }',
      'node_modules/one/index.js': "exports.word = 'one';",
    });
    const { stderr } = await deploy([program.path, '--name', 'bundled', '--bundle']);
    expect(stderr).toMatch(/Bundled 2 modules into app\.bundle\.mjs/);
    expect(await invoked('bundled')).toBe('page onePage');
    await vmlet(['invoke', 'bundled', '/fail']);
    expect((await vmlet(['logs', 'bundled'])).stdout).toMatch(/Error: on line 6[\s\S]*app\.tsx:6:/);
  });

  test('vmlet deploy: runs one static executable, with arguments, and scripts, each in what it needs', async () => {
    await using program = await temporaryFolder({
      'run.sh': '#!/bin/sh\nexec ./hello "$@"\n',
      'args.py':
        'import os, sys, http.server\nprint(sys.argv[1:], flush=True)\nh = http.server.SimpleHTTPRequestHandler\nhttp.server.HTTPServer(("", int(os.environ["PORT"])), h).serve_forever()\n',
    });
    const binary = join(program.path, 'hello');
    await run('gcc', ['-O1', '-static', '-s', '-o', binary, STATIC_SERVER]);
    const alone = await deploy([binary, '--name', 'alone']);
    expect(alone.stderr).toContain('Chose the runtime minimal: hello is static');
    expect(await invoked('alone')).toBe('hello');
    const script = await deploy([program.path, '--name', 'script', '--json']);
    expect(JSON.parse(script.stdout)).toMatchObject({
      kind: 'executable',
      entrypoint: 'run.sh',
      runtime: { name: 'minimal' },
    });
    expect(await invoked('script')).toBe('hello');
    const command = ['--command', 'python3 args.py "a b" c'];
    const told = await deploy([program.path, '--name', 'told', ...command, '--json']);
    expect(JSON.parse(told.stdout)).toMatchObject({
      args: ['python3', 'args.py', 'a b', 'c'],
      runtime: { name: 'debian-12-python' },
    });
    expect(await invoked('told', '/run.sh')).toContain('exec ./hello');
    expect((await vmlet(['logs', 'told'])).stdout).toContain("['a b', 'c']");
  });

  test('vmlet deploy --watch: deploys again under the same URL, waits errors out, and ends with 0, when told to', async () => {
    await using program = await temporaryFolder({
      'main.mjs': "export { default } from './lib/answer.mjs';",
      'lib/answer.mjs': '',
    });
    // In two steps, as editors do.
    const answer = async (text: string) => {
      await writeFile(join(program.path, 'lib/new'), text);
      await rename(join(program.path, 'lib/new'), join(program.path, 'lib/answer.mjs'));
    };
    await answer("export default { fetch: () => new Response('one') };");
    const env = { ...process.env, ...environment() };
    const child = spawn(BIN, ['deploy', program.path, '--watch', '--no-wait', '--name', 'watched'], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'exit');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const errors = createInterface({ input: child.stderr });
    const told = async (words: string) => {
      for await (const line of errors) if (line.includes(words)) return line;
      throw new Error(`Cannot hear "${words}": the command has ended`);
    };
    const next = async () => (await lines.next()).value;
    expect(await next()).toBe(`${node.url}/vm/watched/`);
    await next();
    await next();
    expect(await invoked('watched')).toBe('one');
    await answer("export default { fetch: () => new Response('two') };");
    expect(await next()).toMatch(/^version 2 after \d.*: http.*\/vm\/watched\/ \(.* has changed\)$/);
    expect(await invoked('watched')).toBe('two');
    const failing = told('Waiting for the next change');
    await rm(join(program.path, 'main.mjs'));
    await failing;
    await writeFile(join(program.path, 'main.mjs'), "export default { fetch: () => new Response('three') };");
    expect(await next()).toMatch(/^version 3 /);
    child.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
  });
});

describe('vmlet deploy --list', () => {
  test('vmlet deploy --list: shows what would be packed, and needs no node', async () => {
    await using program = await temporaryFolder({
      'package.json': JSON.stringify({ main: 'a.js', dependencies: { one: '1' } }),
      'a.js': 'x'.repeat(2000),
      'skipped.log': '',
      '.vmletignore': '*.log\n',
      'node_modules/one/package.json': '{ "version": "1.0.0" }',
      'node_modules/one/big.js': 'x'.repeat(500_000),
    });
    const listed = await runCli(['deploy', program.path, '--list'], {});
    expect(listed).toMatchObject({ exitCode: 0 });
    expect(listed.stdout).toMatch(
      /^ +2\.0 kB {2}a\.js\n[\s\S]* 500 kB {2}node_modules\/one\/\n[\s\S]* 502 kB {2}in 4 files\n$/,
    );
    expect(listed.stderr).toContain('Left out: .vmletignore, skipped.log\n');
    const asJson = await runCli(['deploy', program.path, '--dry-run', '--json'], {});
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      kind: 'node',
      entrypoint: 'a.js',
      modules: 'folder',
      ignored: expect.anything(),
    });
  });

  test('vmlet deploy: names what is large before anything is sent, when a folder is too large', async () => {
    await using program = await temporaryFolder({ 'main.py': 'app = 1\n' });
    await run('truncate', ['-s', '1500M', join(program.path, 'set.bin')]);
    const { exitCode, stderr } = await runCli(['deploy', program.path, '--list'], {});
    expect(exitCode).toBe(7);
    expect(stderr).toMatch(/ {2}\| The largest folders and files:\n {2}\| +1\.6 GB {2}set\.bin\n/);
    expect(stderr).toContain('1.6 GB of files, expected at most 1.1 GB');
    await writeFile(join(program.path, '.vmletignore'), '/set.bin\n');
    expect((await runCli(['deploy', program.path, '--list'], {})).exitCode).toBe(0);
    expect(await readFile(join(program.path, '.vmletignore'), 'utf8')).toBe('/set.bin\n');
  });
});
