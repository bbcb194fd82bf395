import { join } from 'node:path';
import { resolvePaths } from '@vmlet/host';
import { type RunningNode, startNode } from '@vmlet/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliResult, runCli, type TemporaryFolder, temporaryFolder } from '../testing.ts';

const HELLO = `
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
`;
const { cache } = resolvePaths();

let folder: TemporaryFolder;
let node: RunningNode;

beforeAll(async () => {
  folder = await temporaryFolder({ 'hello/main.py': HELLO, 'broken/main.py': 'import nosuch\napp = 1\n' });
  const [home, config] = [join(folder.path, 'home'), join(folder.path, 'config')];
  node = await startNode({ home, config, cache, listen: { host: '127.0.0.1', port: 0 }, allow: 'own' });
});
afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

async function vmlet(...args: string[]): Promise<CliResult> {
  const env = { VMLET_HOME: join(folder.path, 'home'), VMLET_CONFIG: join(folder.path, 'config'), VMLET_CACHE: cache };
  return await runCli(args, { env });
}

test('vmlet explain: shows the steps of the last start, what it was made from, and what would help', async () => {
  expect((await vmlet('deploy', join(folder.path, 'hello'))).exitCode).toBe(0);
  const before = await vmlet('explain', 'hello');
  expect(before).toMatchObject({ exitCode: 0, stdout: '', stderr: expect.stringContaining('vmlet invoke hello') });
  const { stdout: answer } = await vmlet('invoke', 'hello', '--json');
  const { phases } = JSON.parse(answer).timing;
  const names = Object.keys(phases);
  expect([names[0], ...names.slice(-2)]).toEqual(['queue', 'app', 'total']);

  const { stdout } = await vmlet('explain', 'hello');
  const lines = stdout.split('\n');
  expect(lines[0]).toMatch(/^hello \([0-9a-f]{12}\) started \d+s ago from \S/);
  expect(lines[2]).toMatch(/^queue +[\d.]+ ms {2}#/);
  expect(stdout).toMatch(/\nfirst byte +[\d.]+ m?s +#+\ntotal +[\d.]+ m?s\n/);
  expect(stdout).toMatch(/\n(What would make it faster\n {2}- |Nothing is known that would make it faster\n)/);

  const asJson = JSON.parse((await vmlet('explain', 'hello', '--json')).stdout);
  expect(asJson).toMatchObject({ name: 'hello', failed: null, starts: [{ from: expect.any(String) }] });
  const { steps, totalMs } = asJson.starts[0];
  expect(steps.map(({ name }: { name: string }) => name)).toEqual(names.slice(0, -1));
  const sumMs = steps.reduce((sum: number, { ms }: { ms: number }) => sum + ms, 0);
  expect(totalMs).toBeCloseTo(sumMs, 3);
  const { stdout: log } = await vmlet('logs', 'hello');
  expect(log).toMatch(/Started: queue \d+ ms, .*, total \d+ ms; from /);
});

test('vmlet explain: tells of a start that failed, and where to read why', async () => {
  await vmlet('deploy', join(folder.path, 'broken'), '--no-wait');
  expect((await vmlet('invoke', 'broken')).exitCode).toBe(5);
  const { exitCode, stderr } = await vmlet('explain', 'broken');
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/warning: its last start failed \d+s ago: Cannot load the program.*vmlet logs broken/);
});

test('vmlet metrics: prints the figures of the node, as text and as a list', async () => {
  const { stdout, exitCode } = await vmlet('metrics');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^# TYPE vmlet_starts counter\n/);
  expect(stdout).toMatch(/\n# EOF\n$/);
  const { samples } = JSON.parse((await vmlet('metrics', '--json')).stdout);
  expect(samples).toContainEqual({ name: 'vmlet_requests_total', labels: { status: '2xx' }, value: 1 });
  expect(samples).toContainEqual({ name: 'vmlet_failures_total', labels: { code: 'PROGRAM_LOAD_FAILED' }, value: 1 });
  expect(samples).toContainEqual({ name: 'vmlet_requests_in_flight', labels: {}, value: 0 });
  expect(samples).toContainEqual({ name: 'vmlet_machines', labels: { state: 'waking' }, value: 0 });
});
