import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { resolvePaths } from '@vmlet/host';
import { expect, test } from 'vitest';
import { homeIdOf, machinesOf } from '../../../../tests/framework/leaks.ts';
import { runCli, temporaryFolder } from '../testing.ts';
import { unitFile } from './unit.ts';

const BIN = fileURLToPath(new URL('../../bin/vmlet', import.meta.url));
const { cache } = resolvePaths();

/** Begins to answer at once, and ends with the body of the request. */
const PROGRAM = `
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.body", "body": b"done"})
`;

/** What a service manager hears, a message a line. */
const MANAGER = `
import socket, sys
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(sys.argv[1])
print("listening", flush=True)
while True:
    print(heard.recv(4096).decode().replace("\\n", " "), flush=True)
`;

/** The node as the unit has it: of root no more than the capabilities that it lists, and no way to more. */
function confined(): string[] {
  const unit = unitFile({ scope: 'system', command: BIN, args: [] });
  const capabilities = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
  const bounding = ['-all', ...capabilities.map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`)].join(',');
  const isRoot = process.getuid?.() === 0;
  return ['setpriv', '--no-new-privs', ...(isRoot ? [`--bounding-set=${bounding}`, '--inh-caps=-all'] : []), '--'];
}

/**
 * What `doctor` says of the confinement of machines. Not of cgroups: a service has its own, and the one that tests run in
 * may be one that only full root can write to.
 */
async function confinementOf(env: Record<string, string>): Promise<[string, string][]> {
  const { checks } = JSON.parse((await runCli(['doctor', '--json'], { env })).stdout);
  return checks
    .filter(({ code }: { code: string }) => /^(SANDBOX|NAMESPACES|MACHINE_USERS)$/.test(code))
    .map(({ code, status }: { code: string; status: string }) => [code, status]);
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}

test('service: is ready when it says so, and SIGTERM answers what is under way, refuses what is new and leaves nothing', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder({ 'app/main.py': PROGRAM }));
  const [home, config, socketPath] = ['home', 'config', 'notify'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ];
  const own = { VMLET_HOME: home, VMLET_CONFIG: config, VMLET_CACHE: cache };
  const manager = spawn('python3', ['-c', MANAGER, socketPath], { stdio: ['ignore', 'pipe', 'inherit'] });
  stack.defer(() => void manager.kill());
  const heard = createInterface({ input: manager.stdout })[Symbol.asyncIterator]();
  expect((await heard.next()).value).toBe('listening');

  const [command = '', ...args] = [...confined(), BIN, 'up', '--listen', '127.0.0.1:0'];
  const node = spawn(command, args, { env: { ...process.env, ...own, NOTIFY_SOCKET: socketPath }, stdio: 'ignore' });
  const ended = once(node, 'exit');
  stack.defer(async () => {
    if (node.exitCode === null) node.kill('SIGKILL');
    await ended;
  });
  const [, url = ''] = /^READY=1 STATUS=Serving at (http:\S+)$/.exec((await heard.next()).value ?? '') ?? [];
  const port = Number(new URL(url).port);
  expect(await isRefused(port)).toBe(false);

  // Nothing of the confinement is lost by having no more than the unit gives.
  const unbound = { ...own, VMLET_HOME: join(folder.path, 'none') };
  expect(await confinementOf(own)).toEqual(await confinementOf(unbound));

  const deployed = await runCli(['deploy', join(folder.path, 'app'), '--json'], { env: own });
  expect(deployed.exitCode).toBe(0);
  const asked = request(`${url}/vm/app/`, { method: 'POST', agent: false });
  asked.write('some');
  const [answer] = await once(asked, 'response');
  answer.setEncoding('utf8');
  expect((await once(answer, 'data'))[0]).toBe('begun ');

  node.kill('SIGTERM');
  while ((await heard.next()).value !== 'STOPPING=1');
  while (!(await isRefused(port)));
  asked.end('more');
  expect((await once(answer, 'data'))[0]).toBe('done');
  expect(await ended).toEqual([0, null]);
  expect(await machinesOf(await homeIdOf(home))).toEqual([]);
});
