import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolvePaths } from '@vmlet/host';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cage, missing, openCage } from '../../packages/node/src/machines/cage/index.ts';
import { cgroupsNamed, processesNaming } from '../framework/leaks.ts';
import { type Attacker, attack, compileAttacker, type Report } from './attacker.ts';

const EPERM = '1';
const ENOENT = '2';
const EAGAIN = '11';
const EROFS = '30';
const ENOSYS = '38';
const EFBIG = '27';
const EAFNOSUPPORT = '97';
const FIFO_OR_SOCKET = '14';
const name = `vmlet-${randomBytes(4).toString('hex')}`;
const never = new AbortController().signal;

let cage: Cage;
let attacker: Attacker;
let secret: string;
let report: Report;

beforeAll(async () => {
  cage = await openCage({ name, homeId: name.slice('vmlet-'.length), cache: resolvePaths().cache, signal: never });
  attacker = await compileAttacker();
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  secret = join(folder, 'default.key');
  await writeFile(secret, 'a key', { mode: 0o644 });
  await using listener = await listenEverywhere();
  ({ report } = await attack(cage, attacker.path, {
    args: ['attack', String(listener.port), listener.abstract, '/etc/passwd', '/root', '/home', secret, attacker.path],
    images: [secret],
  }));
});
afterAll(async () => {
  await cage[Symbol.asyncDispose]();
  await attacker[Symbol.asyncDispose]();
  await rm(join(secret, '..'), { recursive: true });
  expect(await cgroupsNamed(name)).toEqual([]);
});

/** What a process of the host could connect to: the loopback, and a name in the abstract socket space. */
async function listenEverywhere() {
  const abstract = randomBytes(8).toString('hex');
  const [tcp, local] = [createServer().listen(0, '127.0.0.1'), createServer().listen(`\0${abstract}`)];
  await Promise.all([once(tcp, 'listening'), once(local, 'listening')]);
  const address = tcp.address();
  return {
    abstract,
    port: typeof address === 'object' && address ? address.port : 0,
    [Symbol.asyncDispose]: async () => {
      tcp.close();
      local.close();
    },
  };
}

const results = (prefix: string) =>
  Object.entries(report)
    .filter(([attempt]) => attempt.startsWith(prefix))
    .map(([attempt, result]) => [attempt.slice(prefix.length), result]);
const resultsOf = (...attempts: string[]) => [...new Set(attempts.map((attempt) => report[attempt]))];

describe('an attacker in the place of QEMU', () => {
  test('cage: is as strong as this host lets it be, when the node is root', () => {
    expect(missing(cage.findings)).toEqual([]);
    expect(report.end).toBe('ok');
  });

  test('cage: gives a user and a group of no one else, no other groups, and no way to become another', () => {
    expect(Number(report.uid)).toBeGreaterThanOrEqual(2_147_000_000);
    expect(report.gid).toBe(report.uid);
    expect(report.groups).toBe('0');
    expect(resultsOf('setuid', 'setgroups')).toEqual([EPERM]);
  });

  test('cage: leaves no capability, and none to be had', () => {
    expect([report.capabilities, report.bounding, report.no_new_privs]).toEqual(['0', '0', '1']);
  });

  test('cage: shows no process of the host', () => {
    // It is the first and only process that it knows of.
    expect([report.pid, report.processes]).toEqual(['1', '1']);
    expect(resultsOf('ptrace', 'process_vm_readv')).toEqual([EPERM]);
  });

  test('cage: shows no file of the host but QEMU’s own', () => {
    expect(results('read:')).toEqual(
      ['/etc/passwd', '/root', '/home', secret, attacker.path].map((path) => [path, ENOENT]),
    );
    const top = results('sees:').map(([path = '']) => path.split('/')[1]);
    expect([...new Set(top)].sort()).toEqual(['etc', 'lib', 'lib64', 'machine', 'usr']);
    expect(results('sees:/etc/').map(([path]) => path)).toEqual(['ld.so.cache']);
  });

  test('cage: lets nothing be written, anywhere', () => {
    for (const attempt of ['create:', 'mkdir:', 'chmod:'])
      for (const [path, result] of results(attempt)) expect([EROFS, ENOENT], `${attempt}${path}`).toContain(result);
    expect(report['write:/machine/0']).not.toBe('ok');
    expect(resultsOf('memfd_write', 'memfd_grow')).toEqual([EFBIG]);
  });

  test('cage: makes no namespace, no mount and no device', () => {
    const made = ['unshare_user', 'unshare_mount', 'clone_user', 'setns', 'mount', 'umount', 'chroot', 'open_tree'];
    expect(resultsOf(...made, 'mknod')).toEqual([EPERM]);
    expect(report.clone3).toBe(ENOSYS);
  });

  test('cage: keeps away from the parts of the kernel in which holes are found most often', () => {
    const parts = ['bpf', 'perf_event_open', 'userfaultfd', 'io_uring_setup', 'keyctl', 'syslog', 'kexec_load'];
    expect(resultsOf(...parts, 'init_module')).toEqual([EPERM]);
  });

  test('cage: makes no socket but local ones, and reaches none of the host', () => {
    const kinds = ['inet', 'raw', 'vsock', 'netlink', 'packet', 'alg'].map((kind) => `socket_${kind}`);
    expect(resultsOf(...kinds, 'connect_loopback')).toEqual([EAFNOSUPPORT]);
    expect(report.connect_abstract).not.toBe('ok');
  });

  test('cage: hands over the descriptors that it should, and no other', () => {
    const open = results('fd:').filter(([, kind]) => kind !== '2');
    // stderr, the socket, and the image; 0 and 1 are /dev/null, as is what the node itself should not have inherited.
    expect(open).toEqual([
      ['2', FIFO_OR_SOCKET],
      ['3', FIFO_OR_SOCKET],
      ['4', '10'],
    ]);
  });

  test('cage: bounds memory, and says that it was the reason', async () => {
    const { report: eaten, exit } = await attack(cage, attacker.path, { args: ['memory'], memoryMiB: 64 });
    expect(Number(eaten.ate)).toBeLessThanOrEqual(64);
    expect(exit).toMatchObject({ signal: 'SIGKILL', outOfMemory: true });
  });

  test('cage: bounds processes, and ends all of them with the first', async () => {
    const { report: forked } = await attack(cage, attacker.path, { args: ['processes'] });
    expect(forked.fork).toBe(EAGAIN);
    expect(Number(forked.children)).toBeLessThan(128);
    expect(await processesNaming(`attack-${process.pid}`)).toEqual([]);
    expect(await cgroupsNamed(`attack-${process.pid}`)).toEqual([]);
  });

  test('cage: bounds files, locked memory and core dumps, and lets no limit be raised', () => {
    expect([report.core, report.mlock, report.setrlimit]).toEqual(['0', EPERM, EPERM]);
  });
});

test('cage: two machines have two users, and namespaces that are neither the node’s nor each other’s', async () => {
  const start = () => stay(cage, attacker.path);
  await using one = await start();
  await using other = await start();
  const users = await Promise.all([one, other].map(async ({ pid }) => (await statusOf(pid)).Uid));
  expect(new Set(users).size).toBe(2);
  for (const kind of ['mnt', 'net', 'pid', 'ipc', 'uts', 'cgroup']) {
    const spaces = [one.pid, other.pid, process.pid].map((pid) => readlink(`/proc/${pid}/ns/${kind}`));
    expect(new Set(await Promise.all(spaces)).size, kind).toBe(3);
  }
  const devices = (await readFile(`/proc/${one.pid}/net/dev`, 'utf8')).trim().split('\n').slice(2);
  expect(devices.map((line) => line.split(':')[0]?.trim())).toEqual(['lo']);
});

/** The attacker, doing nothing until it is killed. */
async function stay(inside: Cage, path: string) {
  const caged = await inside.start({
    id: `${name}-${randomBytes(4).toString('hex')}`,
    ...{ memoryMiB: 64, cpus: 1, sockets: 1, kvm: false, internet: undefined, files: [path], images: [] },
    command: ({ files: [file = ''] }) => [file, 'idle', 'stay'],
  });
  if (caged.sockets[0]) await once(caged.sockets[0], 'data');
  return {
    pid: caged.pid,
    exited: caged.exited,
    [Symbol.asyncDispose]: async () => {
      caged.kill();
      await caged.exited;
    },
  };
}

async function statusOf(pid: number): Promise<Record<string, string>> {
  const lines = (await readFile(`/proc/${pid}/status`, 'utf8')).split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/:\s+/, 2) as [string, string]));
}

test('cage: an id is used again only after its machine has ended, and cgroups go with machines', async () => {
  const started = await stay(cage, attacker.path);
  expect(await cgroupsNamed(`${name}-`)).not.toEqual([]);
  await started[Symbol.asyncDispose]();
  expect(await cgroupsNamed(`${name}-`)).toEqual([]);
  expect((await readdir('/proc')).includes(String(started.pid))).toBe(false);
});

test('cage: dies with what stands above it, which is of its user and cannot be seen from within', async () => {
  await using started = await stay(cage, attacker.path);
  const { PPid = '', Uid } = await statusOf(started.pid);
  expect((await statusOf(Number(PPid))).Uid).toBe(Uid);
  process.kill(Number(PPid), 'SIGKILL');
  expect(await started.exited).toMatchObject({ signal: 'SIGKILL' });
});
