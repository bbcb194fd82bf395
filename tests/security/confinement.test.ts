import { once } from 'node:events';
import { readFile, readlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { install, wheel } from '../framework/install.ts';
import { machinesOf } from '../framework/leaks.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';

const HELLO = `
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
`;
const bytes = (text: string) => new TextEncoder().encode(text);

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
});
afterAll(async () => node[Symbol.asyncDispose]());

async function statusOf(pid: number): Promise<Record<string, string>> {
  const lines = (await readFile(`/proc/${pid}/status`, 'utf8')).split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/:\s+/, 2) as [string, string]));
}

test('machine: QEMU has a user of its own, no capability, no new privileges, two filters and namespaces', async () => {
  expect(node.node.unconfined).toEqual([]);
  for (const body of [HELLO, `# another\n${HELLO}`]) await node.ask(await node.deploy({ 'main.py': body }));
  const pids = await machinesOf(node.homeId);
  expect(pids).toHaveLength(2);
  const found = await Promise.all(pids.map(statusOf));
  for (const status of found)
    expect(status).toMatchObject({
      CapEff: '0000000000000000',
      CapBnd: '0000000000000000',
      NoNewPrivs: '1',
      Seccomp: '2',
    });
  expect(found.map((status) => status.Seccomp_filters)).toEqual(['2', '2']);
  expect(new Set(found.map((status) => status.Uid)).size).toBe(2);
  for (const status of found) expect(Number(status.Uid?.split('\t')[0])).toBeGreaterThanOrEqual(2_147_000_000);
  for (const kind of ['mnt', 'net', 'pid', 'ipc', 'uts', 'cgroup']) {
    const spaces = [...pids, process.pid].map((pid) => readlink(`/proc/${pid}/ns/${kind}`));
    expect(new Set(await Promise.all(spaces)).size, kind).toBe(3);
  }
  const { programs } = await node.owner<{ programs: { pid: number }[] }>('/programs');
  expect(programs.map(({ pid }) => pid).toSorted()).toEqual(pids.toSorted());
});

/** What pip runs of a package that it builds: tries to connect, and fails with what came of it. */
const backend = (targets: string[]) => `
import json, socket
found = {}
for target in ${JSON.stringify(targets)}:
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 5).close()
        found[target] = "connected"
    except OSError as error:
        found[target] = type(error).__name__
raise RuntimeError("FOUND" + json.dumps(found) + "END")
`;

async function listen(server: Server, host: string): Promise<number> {
  await once(server.listen(0, host), 'listening');
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

test('machine: one with a way out reaches neither the host, by any of its addresses, nor private networks', async () => {
  let connections = 0;
  const server = createServer().on('connection', () => connections++);
  const port = await listen(server, '0.0.0.0');
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => `${address}:${port}`);
  const others = ['10.0.2.2', '10.0.2.3', '198.18.0.1', '198.18.0.2'].map((address) => `${address}:${port}`);
  const targets = [...new Set([...own, ...others])].filter((target) => !target.startsWith('127.'));
  const far = ['169.254.169.254:80', '192.168.1.1:80', '172.16.0.1:80', '100.64.0.1:80', '10.1.1.1:80'];
  const project = '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n';
  const answer = await install(
    node,
    zipSync({
      'requirements.txt': bytes('./evil\n'),
      'evil/pyproject.toml': bytes(project),
      'evil/evil.py': bytes(backend([...targets, ...far])),
    }),
  );
  server.close();
  const { detail } = JSON.parse(answer.body.toString());
  const found = JSON.parse(/FOUND(\{.*?\})END/.exec(detail)?.[1] ?? '{}');
  expect(Object.keys(found).toSorted()).toEqual([...targets, ...far].toSorted());
  expect(Object.values(found)).not.toContain('connected');
  expect(connections).toBe(0);
});

test('machine: the one that installs reaches an index on the host’s loopback, when pip is told of it', async () => {
  const name = 'tiny-1.0-py3-none-any.whl';
  const server = createServer((request, response) => {
    if (request.url?.endsWith('.whl')) response.end(wheel());
    else response.setHeader('content-type', 'text/html').end(`<a href="/${name}">${name}</a>`);
  });
  const port = await listen(server, '127.0.0.1');
  const before = process.env.PIP_INDEX_URL;
  process.env.PIP_INDEX_URL = `http://127.0.0.1:${port}/simple`;
  try {
    const answer = await install(node, zipSync({ 'requirements.txt': bytes('tiny==1.0\n') }));
    expect(answer.status, answer.body.toString().slice(0, 4000)).toBe(200);
  } finally {
    if (before === undefined) delete process.env.PIP_INDEX_URL;
    else process.env.PIP_INDEX_URL = before;
    server.close();
  }
});
