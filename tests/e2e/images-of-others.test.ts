/** An OCI image of a web server, deployed as it is; and programs of one's own on it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resolvePaths, run } from '@vmlet/host';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeLayout } from '../../packages/builder/src/import/layout.testing.ts';
import { type TestEntry, tarOf } from '../../packages/builder/src/import/testing.ts';
import { runCli, temporaryFolder } from '../../packages/cli/src/testing.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { officialRuntime } from '../framework/runtime.ts';

const APPLETS = ['sh', 'httpd', 'id', 'env', 'cat', 'mkdir'];
/** Writes what it finds itself to be, then becomes what it is told, as entrypoints of images do. */
const ENTRYPOINT = `#!/bin/sh
echo to /dev/stdout > /dev/stdout
{ id; pwd; echo "$GREETING $COLOUR port=$PORT home=$HOME"; } > /tmp/www/index.html
exec "$@"
`;
const CONFIG = {
  ...{ Entrypoint: ['/bin/entry'], Cmd: ['httpd', '-f', '-p', '80', '-h', '/tmp/www'], User: 'web' },
  ...{ WorkingDir: '/srv/made', ExposedPorts: { '80/tcp': {} }, Env: ['GREETING=hello', 'COLOUR=red', 'PATH=/bin'] },
};

let node: TestNode;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  [node, folder] = await Promise.all([startTestNode(), temporaryFolder()]);
  const { imagePath } = await officialRuntime('minimal');
  const tree = join(folder.path, 'tree');
  await run('fsck.erofs', [`--extract=${tree}`, imagePath]);
  const busybox = await readFile(join(tree, 'usr/bin/busybox'));
  const base: TestEntry[] = [
    { name: 'bin/busybox', content: busybox, mode: 0o755 },
    ...APPLETS.map((name) => ({ name: `bin/${name}`, kind: 'link' as const, linkname: 'bin/busybox' })),
    { name: 'etc/passwd', content: 'root:x:0:0::/root:/bin/sh\nweb:x:1234:1234::/srv:/bin/sh\n' },
    { name: 'etc/group', content: 'web:x:1234:\nextra:x:77:web\n' },
    { name: 'tmp/', mode: 0o1777 },
  ];
  const program = ENTRYPOINT.replace('{ id', 'mkdir -p /tmp/www\n{ id');
  const layers = [await tarOf(base), await tarOf([{ name: 'bin/entry', content: program, mode: 0o755 }])];
  await mkdir(join(folder.path, 'image'));
  await writeLayout(join(folder.path, 'image'), { layers, config: CONFIG });
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

function vmlet(...args: string[]) {
  const { cache } = resolvePaths();
  const env = { VMLET_HOME: node.home, VMLET_CACHE: cache, VMLET_CONFIG: join(node.home, '../config') };
  return runCli(args, { env, cwd: folder.path });
}

test('deploy: runs an OCI image of a web server as it is, with its user, folder, variables and port', async () => {
  const deployed = await vmlet(
    'deploy',
    '--runtime',
    'oci:image:test',
    '--name',
    'web',
    '--env',
    'COLOUR=blue',
    '--json',
  );
  expect(deployed).toMatchObject({ exitCode: 0 });
  const { url, itemHash, code } = JSON.parse(deployed.stdout);
  expect(code.files).toBe(0);
  const answer = await fetch(url);
  expect([answer.status, await answer.text()]).toEqual([
    200,
    'uid=1234(web) gid=1234(web) groups=77(extra)\n/srv/made\nhello blue port=80 home=/srv\n',
  ]);
  expect(await node.logOf(itemHash)).toContain('to /dev/stdout');
  const image = (await vmlet('runtime', 'build', '--from', 'oci:image', '--name', 'image', '--json')).stdout;
  expect(JSON.parse(image)).toMatchObject({
    cached: true,
    manifest: { config: { user: 'web', exposedPorts: ['80/tcp'] } },
  });
});

test('deploy: runs a program of its own on an OCI image, with the variables of the image below its own', async () => {
  const program = join(folder.path, 'program');
  await mkdir(program);
  const script = '#!/bin/sh\nmkdir /tmp/own\necho "$GREETING $COLOUR $PORT $(id -u)" > /tmp/own/index.html\n';
  await writeFile(join(program, 'run.sh'), `${script}exec httpd -f -p "$PORT" -h /tmp/own\n`, { mode: 0o755 });
  const deployed = await vmlet('deploy', 'program', '--runtime', 'oci:image', '--env', 'COLOUR=green', '--json');
  expect(deployed).toMatchObject({ exitCode: 0 });
  expect(await (await fetch(JSON.parse(deployed.stdout).url)).text()).toBe('hello green 8080 0\n');
});

test('deploy: says in words that an image names no command, and refuses what is no image', async () => {
  await mkdir(join(folder.path, 'none'));
  await writeLayout(join(folder.path, 'none'), { layers: [await tarOf([{ name: 'etc/' }])] });
  const none = await vmlet('deploy', '--runtime', 'oci:none', '--name', 'none');
  expect(none).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('it names no command, expected an image'),
  });
  const missing = await vmlet('runtime', 'build', '--from', 'docker:nowhere');
  expect(missing).toMatchObject({ exitCode: 7, stderr: expect.stringContaining('nothing at') });
});
