import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diagnose } from './diagnose.ts';
import type { CageFindings } from './machines/cage/index.ts';
import type { Probe } from './machines/index.ts';
import type { SnapshotFacts } from './snapshot-making.ts';

const PROBE: Probe = {
  format: 1,
  accelerator: 'tcg',
  bootMs: 900,
  tscKhz: 1,
  qemuVersion: 'QEMU 7',
  kvmRefused: 'it is broken',
};
const stands = { stands: true, text: 'it stands' };
const FINDINGS: CageFindings = { sandbox: stands, namespaces: stands, users: stands, egress: stands, cgroups: stands };
const confinement = async () => FINDINGS;
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

test('diagnose: tells each thing that a node needs, and why KVM is not used', async () => {
  await using dir = await makeDir();
  const checks = await diagnose({ home: join(dir.path, 'not-yet'), probe: async () => PROBE, confinement });
  expect(checks.map(({ code }) => code).join(' ')).toBe(
    'PLATFORM TOOLS MACHINES MEMORY DISK SANDBOX NAMESPACES MACHINE_USERS EGRESS CGROUPS',
  );
  const machines = checks.find(({ code }) => code === 'MACHINES');
  expect(machines).toMatchObject({
    status: 'warning',
    text: 'QEMU 7; a machine boots in 900 ms with TCG; KVM does not work here: it is broken',
    fix: expect.any(String),
  });
  const [kvm] = (
    await diagnose({ home: dir.path, probe: async () => ({ ...PROBE, accelerator: 'kvm' as const }), confinement })
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
    const checks = await diagnose({ home: dir.path, probe, confinement });
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
  const checks = await diagnose({
    home: dir.path,
    probe: () => Promise.reject(new Error('no machine boots')),
    confinement,
  });
  expect(checks.find(({ code }) => code === 'MACHINES')).toMatchObject({ status: 'error', text: 'no machine boots' });
});

test('diagnose: tells each part of the confinement that does not stand, with what to do', async () => {
  await using dir = await makeDir();
  const users = { stands: false, text: 'only root can' };
  const options = { home: dir.path, probe: async () => PROBE, confinement: async () => ({ ...FINDINGS, users }) };
  const checks = await diagnose(options);
  expect(checks.find(({ code }) => code === 'MACHINE_USERS')).toMatchObject({
    status: 'warning',
    text: 'missing: only root can',
    fix: expect.stringContaining('as root'),
  });
  expect(checks.find(({ code }) => code === 'NAMESPACES')).toMatchObject({ status: 'ok', text: 'it stands' });
});

test('diagnose: tells what snapshots take, and why the last one was not made', async () => {
  await using dir = await makeDir();
  const base = { home: dir.path, probe: async () => PROBE, confinement };
  const tell = async (facts: SnapshotFacts | undefined) =>
    (await diagnose({ ...base, snapshots: async () => facts })).find(({ code }) => code === 'SNAPSHOTS');
  const facts = { count: 3, diskBytes: 250 * 1024 * 1024, budgetBytes: 1024 * 1024 * 1024, lastFailure: undefined };
  expect(await tell(facts)).toMatchObject({ status: 'ok', text: '3 take 250 of 1024 MiB' });
  expect(await tell({ ...facts, lastFailure: 'the disk is full' })).toMatchObject({
    status: 'warning',
    text: expect.stringContaining('the disk is full'),
    fix: expect.stringContaining('free space'),
  });
  expect(await tell(undefined)).toMatchObject({ status: 'warning', fix: expect.stringContaining('--snapshot-budget') });
});
