import { mkdir, mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ownPlaces } from './hierarchy.ts';
import { openV1 } from './v1.ts';
import { openV2 } from './v2.ts';

const LIMITS = { memoryBytes: 1024, cpus: 1.5, pids: 9 };
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

/** A folder with the files of a cgroup of v2; what is written there stays to be read. */
async function unified(folder: string, files: Record<string, string>): Promise<string> {
  const own = join(folder, 'own');
  await mkdir(own);
  for (const [name, text] of Object.entries(files)) await writeFile(join(own, name), text);
  return own;
}

test('cgroup: finds its own places in both versions, and within what a container shows of the tree', async () => {
  await using dir = await makeDir();
  await writeFile(join(dir.path, 'cgroup'), '4:memory:/docker/x/y\n3:cpu,cpuacct:/z\n0::/docker/x\n');
  const mounts = [
    '30 1 0:1 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '31 1 0:2 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct',
    '32 1 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
  ];
  await writeFile(join(dir.path, 'mountinfo'), mounts.join('\n'));
  expect(await ownPlaces(dir.path)).toEqual([
    { controllers: ['memory'], folder: '/sys/fs/cgroup/memory/y' },
    { controllers: ['cpu', 'cpuacct'], folder: '/sys/fs/cgroup/cpu/z' },
    { controllers: [], folder: '/sys/fs/cgroup/unified/docker/x' },
  ]);
});

test('cgroup: v1 sets the limits of each controller that is mounted', async () => {
  await using dir = await makeDir();
  const places = ['memory', 'cpu'].map((name) => ({ controllers: [name], folder: join(dir.path, name) }));
  const tree = await openV1('node', places);
  const machine = await tree?.create('m', LIMITS);
  const read = (path: string) => readFile(join(dir.path, path), 'utf8');
  expect(await read('memory/node/m/memory.limit_in_bytes')).toBe('1024');
  expect(await read('cpu/node/m/cpu.cfs_quota_us')).toBe('150000');
  expect(machine?.entries).toEqual(places.map(({ folder }) => join(folder, 'node/m/cgroup.procs')));
  expect(await openV1('node', places.slice(1))).toBeUndefined();
});

test('cgroup: v2 moves the node into a leaf before it hands controllers down', async () => {
  await using dir = await makeDir();
  const own = await unified(dir.path, {
    'cgroup.controllers': 'cpuset cpu io memory pids\n',
    'cgroup.subtree_control': '',
    'cgroup.procs': `${process.pid}\n`,
  });
  const tree = await openV2('node', own);
  const machine = await tree?.create('m', LIMITS);
  const read = (path: string) => readFile(join(own, path), 'utf8');
  expect(await read('node-node/cgroup.procs')).toBe(String(process.pid));
  expect([await read('cgroup.subtree_control'), await read('node/cgroup.subtree_control')]).toEqual(
    Array(2).fill('+memory +cpu +pids'),
  );
  expect(await Promise.all(['memory.max', 'cpu.max', 'pids.max'].map((name) => read(`node/m/${name}`)))).toEqual([
    '1024',
    '150000 100000',
    '9',
  ]);
  await writeFile(join(own, 'node/m/memory.events'), 'low 0\noom 1\noom_kill 1\n');
  expect(await machine?.ranOutOfMemory()).toBe(true);
});

test('cgroup: in both versions all others go before what is in the background', async () => {
  await using dir = await makeDir();
  const v1 = await openV1(
    'node',
    ['memory', 'cpu'].map((name) => ({ controllers: [name], folder: join(dir.path, name) })),
  );
  await v1?.create('m', { ...LIMITS, background: true });
  expect(await readFile(join(dir.path, 'cpu/node/m/cpu.shares'), 'utf8')).toBe('2');
  const own = await unified(dir.path, {
    'cgroup.controllers': 'cpu memory pids',
    'cgroup.subtree_control': 'cpu memory pids',
  });
  const v2 = await openV2('node', own);
  await v2?.create('m', { ...LIMITS, background: true });
  await v2?.create('n', LIMITS);
  expect(await readFile(join(own, 'node/m/cpu.weight'), 'utf8')).toBe('1');
  expect(await readdir(join(own, 'node/n'))).not.toContain('cpu.weight');
});

test('cgroup: v2 leaves alone a cgroup that others are in, or that has no controllers', async () => {
  await using dir = await makeDir();
  const files = { 'cgroup.controllers': 'cpu memory pids', 'cgroup.subtree_control': '', 'cgroup.procs': '1\n' };
  const own = await unified(dir.path, files);
  expect(await openV2('node', own)).toBeUndefined();
  await writeFile(join(own, 'cgroup.controllers'), 'hugetlb');
  expect(await openV2('node', own)).toBeUndefined();
  expect((await readdir(own)).toSorted()).toEqual(Object.keys(files).toSorted());
});
