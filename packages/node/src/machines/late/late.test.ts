import { mkdtempDisposable, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBootKit } from '@vmlet/guest';
import { resolvePaths } from '@vmlet/host';
import { describe, expect, test } from 'vitest';
import { openCage } from '../cage/index.ts';
import { isAlive } from '../testing.ts';
import { WaitingMachines } from './pool.ts';
import { startWaiting, type WaitingShape } from './waiting.ts';

const { cache } = resolvePaths();
const { signal } = new AbortController();
const MEMORY_MIB = 128;
const SHAPE: WaitingShape = {
  ...{ accelerator: 'tcg', tscKhz: 2_000_000, vcpus: 1, memoryMiB: MEMORY_MIB, internet: false },
  ...{ driveCount: 1, share: false },
};

/** A cage of its own, what starts in it, and files that are no snapshot. */
async function open() {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')));
  const name = `vmlet-late-${process.pid}`;
  const cage = stack.use(await openCage({ name, homeId: name, cache, signal }));
  const { lateFiles: library } = await ensureBootKit({ cache, signal });
  const files = { memoryPath: join(dir.path, 'memory'), statePath: join(dir.path, 'state'), drives: [library] };
  await writeFile(files.memoryPath, '');
  await truncate(files.memoryPath, MEMORY_MIB * 1024 * 1024);
  await writeFile(files.statePath, 'no state');
  const owned = stack.move();
  return { cage, library, name, files, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** How a process has a file open: for each descriptor, "r" or "w". */
async function opened(pid: number, path: string): Promise<string[]> {
  const { ino } = await stat(path);
  const fds = await readdir(`/proc/${pid}/fd`);
  const modes = fds.map(async (fd) => {
    if ((await stat(`/proc/${pid}/fd/${fd}`)).ino !== ino) return [];
    const flags = /^flags:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
    return [Number.parseInt(flags, 8) & 3 ? 'w' : 'r'];
  });
  return (await Promise.all(modes)).flat();
}

describe('waiting machines', () => {
  test('waiting: begins when its files have come, and can read each of them and write none', async () => {
    await using it = await open();
    await using waiting = await startWaiting(SHAPE, it);
    const process = await waiting.give(it.files);
    const greeting = new Promise<string>((resolve) => process.qmp.once('data', (bytes) => resolve(String(bytes))));
    expect(await greeting).toContain('QMP');
    expect(await opened(process.pid, it.files.memoryPath)).toEqual(['r', 'r']);
    expect(await opened(process.pid, it.files.statePath)).toEqual(['r']);
    process.kill();
    await process.exited;
  });

  test('waiting: is gone when nobody wants it any more, or what it is given is not there', async () => {
    await using it = await open();
    const unwanted = await startWaiting(SHAPE, it);
    await unwanted[Symbol.asyncDispose]();
    expect(isAlive(unwanted.process.pid)).toBe(false);
    const given = await startWaiting(SHAPE, it);
    await expect(given.give({ ...it.files, memoryPath: '/no/such' })).rejects.toThrow('ENOENT');
    expect(isAlive(given.process.pid)).toBe(false);
    const killed = await startWaiting(SHAPE, it);
    killed.process.kill();
    await killed.process.exited;
    await expect(killed.give(it.files)).rejects.toMatchObject({ code: 'QEMU_NOT_STARTED' });
  });

  test('pool: has some of each shape that is wanted, gives each once and none that died, and ends the rest', async () => {
    await using it = await open();
    const errors: unknown[] = [];
    const pool = new WaitingMachines({
      ...{ cage: it.cage, library: it.library, namePrefix: `${it.name}-`, perShape: 2 },
      onError: (error) => errors.push(error),
    });
    expect(pool.take(SHAPE)).toBeUndefined();
    await pool.fill();
    const first = pool.take(SHAPE);
    expect(pool.take({ ...SHAPE, vcpus: 2 })).toBeUndefined();
    const second = pool.take(SHAPE);
    expect(new Set([first, second, pool.take(SHAPE)]).size).toBe(3);
    await first?.[Symbol.asyncDispose]();
    await second?.[Symbol.asyncDispose]();

    await pool.fill();
    const third = pool.take(SHAPE);
    third?.process.kill();
    await third?.process.exited;
    await pool.fill();
    await pool[Symbol.asyncDispose]();
    expect(pool.take(SHAPE)).toBeUndefined();
    expect(errors).toEqual([]);
  });

  test('pool: ends those too that were started while another was being taken', async () => {
    await using it = await open();
    const pool = new WaitingMachines({
      ...{ cage: it.cage, library: it.library, namePrefix: `${it.name}-`, perShape: 2 },
      onError: () => {},
    });
    pool.want(SHAPE);
    const filling = pool.fill();
    let taken = pool.take(SHAPE);
    for (; !taken; taken = pool.take(SHAPE)) await new Promise((resolve) => void setImmediate(resolve));
    await filling;
    await taken[Symbol.asyncDispose]();
    await pool[Symbol.asyncDispose]();
    expect(await namedInProc(`${it.name}-`)).toEqual([]);
  });
});

/** Processes whose command line has a text in it. */
async function namedInProc(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return pids.filter((_, index) => lines[index]?.includes(text));
}
