import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diagnose } from './diagnose.ts';
import type { Probe } from './machines/index.ts';

const PROBE: Probe = {
  format: 1,
  accelerator: 'tcg',
  bootMs: 900,
  tscKhz: 1,
  qemuVersion: 'QEMU 7',
  kvmRefused: 'it is broken',
};
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

test('diagnose: tells each thing that a node needs, and why KVM is not used', async () => {
  await using dir = await makeDir();
  const checks = await diagnose({ home: join(dir.path, 'not-yet'), probe: async () => PROBE });
  expect(checks.map(({ code }) => code)).toEqual(['PLATFORM', 'TOOLS', 'MACHINES', 'MEMORY', 'DISK', 'CGROUPS']);
  const machines = checks.find(({ code }) => code === 'MACHINES');
  expect(machines).toMatchObject({
    status: 'warning',
    text: 'QEMU 7; a machine boots in 900 ms with TCG; KVM does not work here: it is broken',
    fix: expect.any(String),
  });
  const [kvm] = (
    await diagnose({ home: dir.path, probe: async () => ({ ...PROBE, accelerator: 'kvm' as const }) })
  ).slice(2);
  expect(kvm).toMatchObject({ code: 'MACHINES', status: 'ok' });
});

test('diagnose: says what to install, and boots nothing without it', async () => {
  await using dir = await makeDir();
  const path = process.env.PATH;
  try {
    process.env.PATH = dir.path;
    const probe = async () => {
      throw new TypeError('Cannot probe: the tools are missing');
    };
    const checks = await diagnose({ home: dir.path, probe });
    expect(checks.find(({ code }) => code === 'TOOLS')).toMatchObject({
      status: 'error',
      text: expect.stringContaining('qemu-system-x86_64'),
      fix: expect.stringMatching(/^apt-get install .*qemu-system-x86 /),
    });
    expect(checks.map(({ code }) => code)).not.toContain('MACHINES');
  } finally {
    process.env.PATH = path;
  }
});

test('diagnose: takes a boot that fails for an error, with its words', async () => {
  await using dir = await makeDir();
  const checks = await diagnose({ home: dir.path, probe: () => Promise.reject(new Error('no machine boots')) });
  expect(checks.find(({ code }) => code === 'MACHINES')).toMatchObject({ status: 'error', text: 'no machine boots' });
});
