import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@vmlet/host';
import { compile } from '../native.ts';
import { FASTAPI_HELLO, NODE_HELLO, PYTHON_HELLO } from '../programs.ts';
import { type Contender, timeToFirstByte } from './first-byte.ts';
import { unpackRuntime } from './rootfs.ts';

const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  PYTHONUNBUFFERED: '1',
};

/** A program in a root filesystem. */
interface Served {
  root: string;
  /** Serves it at a port of the loopback. */
  command: (port: number) => string[];
}

/** By row: starts a fresh server, and gives the milliseconds to the first byte of its first answer. */
export interface Contenders extends AsyncDisposable {
  rows: Record<string, () => Promise<number>>;
}

/** Unpacks the runtimes that machines run. @throws if this is not root: chroot and runsc want it */
export async function prepareContenders(): Promise<Contenders> {
  if (process.getuid?.() !== 0)
    throw new Error('Cannot bench: this is another user, expected root for chroot and runsc');
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const firstByte = await compile('contenders/first-byte.c', folder);
  const { python, fastapi, node } = await unpackPrograms(folder);
  const contenders: Record<string, Contender> = {
    'runsc-python': await runsc(python, folder),
    'runsc-fastapi': await runsc(fastapi, folder),
    'runsc-node': await runsc(node, folder),
    'bwrap-python': { command: async (port) => bwrap(python, port) },
    'bare-python': { command: async (port) => bare(python, port) },
  };
  const rows = Object.entries(contenders).map(([row, one]) => [row, () => timeToFirstByte(firstByte, one)] as const);
  const owned = stack.move();
  return { rows: Object.fromEntries(rows), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function unpackPrograms(folder: string): Promise<Record<'python' | 'fastapi' | 'node', Served>> {
  const pythonRoot = join(folder, 'python');
  const nodeRoot = join(folder, 'node');
  await unpackRuntime('debian-12-python', pythonRoot, {
    'opt/bench/serve.py': await readFile(join(import.meta.dirname, 'serve.py'), 'utf8'),
    'opt/hello/main.py': PYTHON_HELLO,
    'opt/fastapi/main.py': FASTAPI_HELLO,
  });
  await unpackRuntime('debian-11-node', nodeRoot, {
    'opt/bench/serve.cjs': await readFile(join(import.meta.dirname, 'serve.cjs'), 'utf8'),
    'opt/hello/server.js': NODE_HELLO,
  });
  const python = (code: string) => ({
    root: pythonRoot,
    command: (port: number) => ['/usr/bin/python3', '-u', '/opt/bench/serve.py', String(port), code],
  });
  const node = (port: number) => ['/usr/local/bin/node', '/opt/bench/serve.cjs', String(port), '/opt/hello'];
  return {
    python: python('/opt/hello'),
    fastapi: python('/opt/fastapi'),
    node: { root: nodeRoot, command: node },
  };
}

/**
 * gVisor as lean as it goes: no cgroup, the host's network in place of a stack of its own, a root filesystem that nobody
 * else changes, nothing of vmlet inside. `ptrace` is the platform of Debian's version that needs no KVM.
 */
async function runsc({ root, command }: Served, folder: string): Promise<Contender> {
  const bundle = await mkdtemp(join(folder, 'bundle-'));
  const state = await mkdtemp(join(folder, 'runsc-'));
  const call = ['runsc', '--root', state, '--platform', 'ptrace', '--network', 'host', '--ignore-cgroups'];
  return {
    command: async (port) => {
      await writeFile(join(bundle, 'config.json'), JSON.stringify(containerOf(root, command(port))));
      return [...call, 'run', '--bundle', bundle, `bench-${port}`];
    },
    end: async (port) => {
      await run('runsc', ['--root', state, 'kill', `bench-${port}`, 'KILL']);
    },
  };
}

/** An OCI configuration that gives a process what it needs and no more. */
function containerOf(root: string, args: readonly string[]) {
  const none = { bounding: [], effective: [], inheritable: [], permitted: [] };
  const env = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  return {
    ociVersion: '1.0.0',
    process: { user: { uid: 0, gid: 0 }, args, env, cwd: '/', capabilities: none },
    root: { path: root, readonly: true },
    hostname: 'bench',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' },
    ],
    linux: { namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }] },
  };
}

/** All namespaces but the network's. */
function bwrap({ root, command }: Served, port: number): string[] {
  const variables = Object.entries(ENVIRONMENT).flatMap(([name, value]) => ['--setenv', name, value]);
  const mounts = ['--ro-bind', root, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'];
  const apart = ['--unshare-all', '--share-net', '--die-with-parent', '--clearenv', ...variables];
  return ['bwrap', ...mounts, ...apart, ...command(port)];
}

/** No sandbox: the same files, and nothing between the interpreter and the kernel. */
function bare({ root, command }: Served, port: number): string[] {
  const variables = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  return ['chroot', root, '/usr/bin/env', '-i', ...variables, ...command(port)];
}
