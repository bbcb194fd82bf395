import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ensureRuntime, makeErofs } from '@vmlet/builder';
import { resolvePaths, run } from '@vmlet/host';
import { itemHashSchema } from '@vmlet/messages/schema';
import { initFiles } from '@vmlet/node';
import { zipSync } from 'fflate';
import { expect, onTestFinished, test } from 'vitest';
import { install } from '../framework/install.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { publishPath } from '../framework/publish.ts';
import { officialRuntime, REPOSITORY } from '../framework/runtime.ts';

const GUIDE = join(REPOSITORY, 'docs/guides/bring-your-own-init.md');

/** The shell blocks of a page, as one script. */
async function blocksOf(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1]).join('\n');
}

/** Runs a script of people's commands in an empty folder, against a node. Gives its stdout. */
async function follow(script: string, node: TestNode, variables: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const env = {
    ...process.env,
    ...variables,
    PATH: [join(REPOSITORY, 'packages/cli/bin'), dirname(process.execPath), process.env.PATH].join(':'),
    VMLET_HOME: node.home,
    VMLET_CONFIG: join(dirname(node.home), 'config'),
    VMLET_CACHE: resolvePaths().cache,
  };
  return run('sh', ['-euc', script], { cwd: folder, env });
}

/** Serves by itself, and says who runs beside it. */
const SCRIPT = `#!/bin/sh
echo "PID 1 is $(tr '\\0' ' ' < /proc/1/cmdline)"
exec python3 -c '
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from an executable")
HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
'
`;

test('init-image: the guide makes a runtime that starts without the drive of the kit, and programs run in it', async () => {
  await using node = await startTestNode();
  const { imagePath } = await officialRuntime();
  const said = await follow(await blocksOf(GUIDE), node, { IMAGE: imagePath });
  const drives = [...said.matchAll(/\b(vd[a-z])$/gm)].map((match) => match[1]);
  expect(drives, said).toEqual(['vda', 'vdb']);
  const runtime = itemHashSchema.parse(/^[0-9a-f]{64}$/m.exec(said)?.[0]);

  const executable = await node.deploy({ 'run.sh': SCRIPT }, { runtime, entrypoint: 'run.sh' });
  expect(await (await node.ask(executable)).text()).toBe('from an executable');
  expect(await node.logOf(executable)).toContain('PID 1 is /sbin/init --root-is-made');
  // Its pip is the image's own, too.
  const requirements = new TextEncoder().encode('./absent-1.0-py3-none-any.whl\n');
  const installed = await install(node, zipSync({ 'requirements.txt': requirements }), { runtime });
  expect(installed.status).toBe(422);
  expect(installed.body.toString()).toContain('absent-1.0');
  const listed = await node.owner<{ runtimes: { itemHash: string; manifest: object }[] }>('/runtimes');
  expect(listed.runtimes.find(({ itemHash }) => itemHash === runtime)?.manifest).toMatchObject({ init: 'image' });
}, 600_000);

test('init-image: a recipe that says so has init0 and the launcher that it needs, with the shell of busybox', async () => {
  await using node = await startTestNode();
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const recipe = await readFile(join(REPOSITORY, 'runtimes/minimal/recipe.yaml'), 'utf8');
  const changed = recipe.replace('init: kit', 'init: image').replace('name: minimal', 'name: minimal-init');
  await writeFile(join(folder, 'recipe.yaml'), changed);
  const { cache } = resolvePaths();
  const built = await ensureRuntime(folder, { cache, initFiles: () => initFiles({ cache }) });
  expect(built.manifest).toMatchObject({ init: 'image', interpreters: {} });
  const runtime = await publishPath(node, built.imagePath, built.manifest);
  const script = '#!/bin/sh\ncd /tmp; ls /root/vmlet /root/vmlet/init1 > index.html; exec httpd -f -p "$PORT"\n';
  const program = await node.deploy({ 'run.sh': script }, { runtime, entrypoint: 'run.sh', memoryMiB: 128 });
  expect(await (await node.ask(program)).text()).toBe('/root/vmlet:\nREADME\ninit1\n\n/root/vmlet/init1:\nexec\n');
}, 600_000);

test('init-image: an image without an init says what to do', async () => {
  await using node = await startTestNode();
  const { manifest, imagePath } = await officialRuntime();
  const runtime = await publishPath(node, imagePath, { ...manifest, init: 'image' });
  const program = await node.deploy({ 'main.py': 'app = None' }, { runtime });
  const answer = await node.ask(program);
  expect(answer.status).toBe(502);
  expect(await answer.json()).toMatchObject({ code: 'MACHINE_BOOT_FAILED', phase: 'boot' });
  expect(await node.logOf(program)).toContain(
    'INIT_FAILED in phase "boot": Cannot start "/sbin/init" of the image, expected the one that "vmlet runtime init-files" writes: No such file',
  );

  // The same for one that is there and cannot be executed: an image with nothing else in it.
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'root/sbin'), { recursive: true });
  await writeFile(join(folder, 'root/sbin/init'), 'no program', { mode: 0o644 });
  const image = join(folder, 'image');
  await makeErofs(join(folder, 'root'), image, { compression: 'none', uuid: randomUUID() });
  const other = await publishPath(node, image, { ...manifest, init: 'image' });
  const refused = await node.deploy({ 'main.py': 'app = None # again' }, { runtime: other });
  expect(await (await node.ask(refused)).json()).toMatchObject({ code: 'MACHINE_BOOT_FAILED' });
  expect(await node.logOf(refused)).toContain('"vmlet runtime init-files" writes: Permission denied');
}, 600_000);

test('init-image: a runtime with the init of a distribution is refused in words', async () => {
  await using node = await startTestNode();
  const { manifest, imagePath } = await officialRuntime();
  const runtime = await publishPath(node, imagePath, { ...manifest, init: 'distribution' });
  const answer = await node.ask(await node.deploy({ 'main.py': 'app = None' }, { runtime }));
  const problem = await answer.text();
  expect(JSON.parse(problem)).toMatchObject({ code: 'PROGRAM_UNSUPPORTED' });
  expect(problem).toContain('a runtime with the init of a distribution');
}, 600_000);
