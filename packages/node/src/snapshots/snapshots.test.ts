import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type SnapshotInputs, snapshotKey } from './format.ts';
import { Snapshots } from './snapshots.ts';

const MIB = 1024 * 1024;
const [HASH, OTHER] = ['a'.repeat(64), 'b'.repeat(64)];
const PROGRAM = { itemHash: HASH, code: HASH, form: 'zip.v2', load: HASH };

let dir: string;
let damaged: { key: string; found: string }[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'vmlet-snapshots-'));
  damaged = [];
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function inputs(changes: Partial<SnapshotInputs> = {}): SnapshotInputs {
  return {
    ...{ kit: 'kit', qemu: HASH, accelerator: 'tcg', host: HASH, tscKhz: 2_596_134, runtime: HASH },
    ...{ vcpus: 1, memoryMiB: 4, shape: HASH, init: 'kit', launcher: HASH, volumes: [] },
    program: PROGRAM,
    ...changes,
  };
}

const openSnapshots = (budgetBytes = 1024 * MIB) =>
  Snapshots.open({ dir, budgetBytes, onDamaged: (damage) => damaged.push(damage) });

async function save(snapshots: Snapshots, of: SnapshotInputs, fill = 1): Promise<string> {
  await using draft = await snapshots.begin(of);
  const memory = Buffer.alloc(4 * MIB);
  memory.fill(fill, MIB, 2 * MIB);
  await writeFile(draft.memoryPath, memory);
  await writeFile(draft.statePath, `state ${fill}`);
  return (await draft.commit({ serves: 'asgi' })).key;
}

describe('snapshotKey()', () => {
  test('is the same whatever the order of the members', () => {
    const shuffled = Object.fromEntries(Object.entries(inputs()).toReversed()) as SnapshotInputs;
    expect(snapshotKey(shuffled)).toBe(snapshotKey(inputs()));
  });

  test.each([
    { kit: 'other' },
    { qemu: OTHER },
    { accelerator: 'kvm' as const },
    { host: OTHER },
    { tscKhz: 1 },
    { runtime: OTHER },
    { vcpus: 2 },
    { memoryMiB: 5 },
    { shape: OTHER },
    { init: 'image' },
    { launcher: OTHER },
    { program: null },
    ...Object.keys(PROGRAM).map((name) => ({ program: { ...PROGRAM, [name]: OTHER } })),
  ])('is another one with %o', (change) => {
    expect(snapshotKey(inputs(change))).not.toBe(snapshotKey(inputs()));
  });
});

describe('Snapshots', () => {
  test('finds what was saved, sealed and without its zeros on disk', async () => {
    const snapshots = await openSnapshots();
    const key = await save(snapshots, inputs());
    const found = await (await openSnapshots()).find(inputs());
    expect(found).toMatchObject({ key, serves: 'asgi' });
    const memory = await stat(found?.memoryPath ?? '');
    expect(memory.mode & 0o777).toBe(0o444);
    expect(memory.size).toBe(4 * MIB);
    expect(memory.blocks * 512).toBeLessThan(2 * MIB);
    expect(await readFile(found?.statePath ?? '', 'utf8')).toBe('state 1');
  });

  test('finds nothing for other inputs', async () => {
    const snapshots = await openSnapshots();
    await save(snapshots, inputs());
    expect(await snapshots.find(inputs({ vcpus: 2 }))).toBeUndefined();
    expect(damaged).toEqual([]);
  });

  test('keeps the one that stands there, when two are saved', async () => {
    const snapshots = await openSnapshots();
    await save(snapshots, inputs(), 1);
    await save(snapshots, inputs(), 2);
    expect(await readFile((await snapshots.find(inputs()))?.statePath ?? '', 'utf8')).toBe('state 1');
    expect(await readdir(dir)).toHaveLength(1);
  });

  test('removes a draft that was not committed', async () => {
    const snapshots = await openSnapshots();
    {
      await using draft = await snapshots.begin(inputs());
      await writeFile(draft.memoryPath, 'half');
    }
    expect(await readdir(dir)).toEqual([]);
  });

  test('never finds an interrupted save, and removes it at the next start', async () => {
    const left = join(dir, `.tmp-999999999-${snapshotKey(inputs())}-abc`);
    await mkdir(left);
    await writeFile(join(left, 'memory'), 'half');
    const snapshots = await openSnapshots();
    expect(await snapshots.find(inputs())).toBeUndefined();
    expect(await readdir(dir)).toEqual([]);
  });

  describe.each([
    ['a bit of the memory is flipped', 'memory', (bytes: Buffer) => bytes.fill((bytes[MIB] ?? 0) ^ 1, MIB, MIB + 1)],
    ['a bit of the state is flipped', 'state', (bytes: Buffer) => bytes.fill(0, 0, 1)],
    ['the record is no JSON', 'snapshot.json', () => Buffer.from('{')],
    ['the record is endless', 'snapshot.json', () => Buffer.alloc(MIB)],
  ] as const)('when %s', (_, name, change) => {
    test('finds nothing after a restart, says so, and it is gone', async () => {
      const key = await save(await openSnapshots(), inputs());
      await overwrite(join(dir, key, name), change);
      expect(await (await openSnapshots()).find(inputs())).toBeUndefined();
      expect(damaged).toMatchObject([{ key }]);
      expect(await readdir(dir)).toEqual([]);
    });
  });

  test('finds nothing when the memory is truncated', async () => {
    const key = await save(await openSnapshots(), inputs());
    await chmod(join(dir, key, 'memory'), 0o644);
    await truncate(join(dir, key, 'memory'), 3 * MIB);
    expect(await (await openSnapshots()).find(inputs())).toBeUndefined();
  });

  test('finds nothing under the key of another', async () => {
    const snapshots = await openSnapshots();
    const key = await save(snapshots, inputs());
    await rename(join(dir, key), join(dir, snapshotKey(inputs({ vcpus: 2 }))));
    expect(await (await openSnapshots()).find(inputs({ vcpus: 2 }))).toBeUndefined();
    expect(damaged[0]?.found).toContain('another key');
  });

  test('sees a change in the same process too, by the times of the file', async () => {
    const snapshots = await openSnapshots();
    const key = await save(snapshots, inputs());
    const path = join(dir, key, 'memory');
    const { mtime } = await stat(path);
    await overwrite(path, (bytes) => bytes.fill(9, MIB, MIB + 1));
    await utimes(path, mtime, mtime);
    expect(await snapshots.find(inputs())).toBeUndefined();
    expect(damaged).toHaveLength(1);
  });

  test('hashes what is there ahead of its use, and stops when it is told to', async () => {
    const [whole, broken] = [
      await save(await openSnapshots(), inputs()),
      await save(await openSnapshots(), inputs({ vcpus: 2 })),
    ];
    await chmod(join(dir, broken, 'memory'), 0o644);
    await truncate(join(dir, broken, 'memory'), MIB);
    const again = await openSnapshots();
    const told = new AbortController();
    told.abort();
    await again.verifyAhead(told.signal);
    expect(damaged).toEqual([]);
    await again.verifyAhead(new AbortController().signal);
    expect(damaged).toMatchObject([{ key: broken }]);
    expect((await again.list()).map(({ key }) => key)).toEqual([whole]);
  });

  test('removes what nobody wants any more, of what was there when it was asked', async () => {
    const snapshots = await openSnapshots();
    const [first, second] = [await save(snapshots, inputs()), await save(snapshots, inputs({ vcpus: 2 }))];
    expect(await snapshots.retain(() => new Set([second, HASH]))).toEqual([first]);
    expect(await readdir(dir)).toEqual([second]);
    expect(await snapshots.find(inputs())).toBeUndefined();
    expect(await snapshots.find(inputs({ vcpus: 2 }))).toBeDefined();
  });

  test('removes those used longest ago when the budget is passed', async () => {
    const snapshots = await openSnapshots(2.5 * MIB);
    const first = await save(snapshots, inputs({ vcpus: 1 }));
    const second = await save(snapshots, inputs({ vcpus: 2 }));
    await utimes(join(dir, first, 'snapshot.json'), 1, 1);
    await utimes(join(dir, second, 'snapshot.json'), 2, 2);
    const snapshot = await snapshots.find(inputs({ vcpus: 1 }));
    if (snapshot) await snapshots.touch(snapshot);
    const third = await save(snapshots, inputs({ vcpus: 3 }));
    expect((await readdir(dir)).toSorted()).toEqual([first, third].toSorted());
  });
});

async function overwrite(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  await chmod(path, 0o644);
  await writeFile(path, change(await readFile(path)));
  await chmod(path, 0o444);
}
