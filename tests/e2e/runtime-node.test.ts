import { expect, test } from 'vitest';
import { startTestNode } from '../framework/node.ts';
import { publishPath } from '../framework/publish.ts';
import { officialRuntime } from '../framework/runtime.ts';

const MIB = 1024 * 1024;

test('runtime: debian-11-node has the current and the previous Node.js LTS, in at most 160 MiB', async () => {
  const { manifest } = await officialRuntime('debian-11-node');
  expect(manifest).toMatchObject({ name: 'debian-11-node', filesystem: 'erofs', init: 'kit' });
  expect(manifest.os).toContain('Debian GNU/Linux 11');
  const { node } = manifest.interpreters;
  expect(node).toMatchObject({ path: '/usr/local/bin/node', version: expect.stringMatching(/^24\./) });
  expect(node?.others).toEqual([
    { path: expect.stringMatching(/^\/opt\/node\/22\.[\d.]+\/bin\/node$/), version: expect.stringMatching(/^22\./) },
  ]);
  expect(manifest.sizeBytes).toBeLessThanOrEqual(160 * MIB);
}, 600_000);

test('runtime: .nvmrc chooses the Node.js version, engines does, and an order that cannot be had fails in words', async () => {
  await using node = await startTestNode();
  const { manifest, imagePath } = await officialRuntime('debian-11-node');
  const runtime = await publishPath(node, imagePath, manifest);
  const source = `
    import { execFileSync } from 'node:child_process';
    const child: string = execFileSync('node', ['--version'], { encoding: 'utf8' });
    export default (req: object, res: { end(text: string): void }) => res.end(process.version + ' ' + child.trim());`;
  const deploy = (files: Record<string, string>) =>
    node.deploy({ 'server.ts': source, ...files }, { runtime, entrypoint: 'server.ts' });
  const asked = await node.ask(await deploy({ '.nvmrc': '22\n', 'package.json': '{"type":"module"}' }));
  expect(await asked.text()).toMatch(/^(v22\.[\d.]+) \1$/);
  expect(asked.headers.get('server-timing')).toContain('load');
  const engines = JSON.stringify({ type: 'module', engines: { node: '>=22 <24' } });
  expect(await (await node.ask(await deploy({ 'package.json': engines }))).text()).toMatch(/^v22\./);
  const refused = await deploy({ '.nvmrc': '18' });
  expect((await node.ask(refused)).status).toBe(502);
  expect(await node.logOf(refused)).toMatch(
    /NODE_VERSION_UNAVAILABLE.*Cannot use Node\.js "18": \.nvmrc asks for it and this runtime has 24\.[\d.]+, 22\./,
  );
}, 600_000);
