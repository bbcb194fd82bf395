import { chmod, mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { probeAccelerator } from './accelerator.ts';
import { backend, HELLO, standInForQemu } from './testing.ts';

const never = new AbortController().signal;
/** Boots under emulation only; leaves a line for each boot. */
const bootsUnderTcg = (log: string) => `
  const { appendFileSync } = await import('node:fs');
  appendFileSync(${JSON.stringify(log)}, args[args.indexOf('-accel') + 1] + '\\n');
  if (args.includes('kvm')) { process.stderr.write('KVM is broken'); exit(1); }
  ${HELLO} await hang();`;

async function setUp(scenario: (log: string) => string) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const tscRate = join(dir.path, 'tsc-rate');
  await writeFile(tscRate, '#!/bin/sh\necho 2400000\n');
  await chmod(tscRate, 0o755);
  const log = join(dir.path, 'boots');
  await writeFile(log, '');
  const qemu = await standInForQemu(scenario(log), { qmp: false });
  const cache = join(dir.path, 'cache');
  const probe = (signal = never) =>
    probeAccelerator({ ...backend.kit, tscRate }, { cache, namePrefix: 'vmlet-test-', cage: backend.cage, signal });
  return {
    cache,
    probe,
    boots: async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line === 'tcg').length,
    async [Symbol.asyncDispose]() {
      await qemu[Symbol.asyncDispose]();
      await dir.remove();
    },
  };
}

test('probe: finds by booting what works, and keeps the answer', async () => {
  await using it = await setUp(bootsUnderTcg);
  const first = await it.probe();
  expect(first).toMatchObject({
    format: 1,
    accelerator: 'tcg',
    tscKhz: 2_400_000,
    qemuVersion: 'QEMU emulator version 7.2.0',
  });
  expect(first.kvmRefused).toEqual(expect.any(String));
  expect(first.bootMs).toBeGreaterThan(0);
  expect(await it.probe()).toEqual(first);
  expect(await it.boots()).toBe(1);
});

test('probe: boots anew, when the kept answer is damaged', async () => {
  await using it = await setUp(bootsUnderTcg);
  await it.probe();
  const folder = join(it.cache, 'probe');
  const [name = ''] = await readdir(folder);
  for (const damaged of ['{"format": 1, "accel', '', '{"format":2}', '[]']) {
    await writeFile(join(folder, name), damaged);
    expect((await it.probe()).accelerator).toBe('tcg');
  }
  expect(await it.boots()).toBe(5);
});

test('probe: gives the same to those that ask at once, and leaves one whole file', async () => {
  await using it = await setUp(bootsUnderTcg);
  const probes = await Promise.all([it.probe(), it.probe()]);
  expect(probes.map(({ accelerator }) => accelerator)).toEqual(['tcg', 'tcg']);
  expect(await readdir(join(it.cache, 'probe'))).toHaveLength(1);
});

test('probe: says why, when nothing boots, and keeps no answer', async () => {
  await using it = await setUp(
    () => `
    process.stderr.write('out of memory'); exit(1);`,
  );
  await expect(it.probe()).rejects.toMatchObject({
    code: 'BACKEND_UNUSABLE',
    detail: expect.stringContaining('out of memory'),
  });
  expect(await readdir(it.cache).catch(() => [])).toEqual([]);
});

test('probe: gives the reason of its signal, when that aborts', async () => {
  await using it = await setUp(bootsUnderTcg);
  await expect(it.probe(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});

test('probe: says that QEMU is missing, when it is', async () => {
  await using it = await setUp(bootsUnderTcg);
  const path = process.env.PATH;
  try {
    process.env.PATH = '/nowhere';
    await expect(it.probe()).rejects.toMatchObject({ code: 'QEMU_NOT_STARTED' });
  } finally {
    process.env.PATH = path;
  }
});
