import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, readFile } from 'node:fs/promises';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import type { BootKit } from '@vmlet/guest';
import { readJsonIfExists, run, writeFileAtomic } from '@vmlet/host';
import { z } from 'zod';
import { deadline, orAborted } from '../deadline.ts';
import { asVmletError, VmletError } from '../errors.ts';
import type { Cage } from './cage/index.ts';
import { Machine } from './machine.ts';
import type { Accelerator } from './qemu/command-line.ts';
import { launchQemu } from './qemu/launch.ts';

export type { Accelerator } from './qemu/command-line.ts';

/** A kernel under working KVM is at init0 in well under a second; under emulation in two. */
const DEADLINE_MS: Record<Accelerator, number> = { kvm: 5000, tcg: 60_000 };
const KVM_DEVICE = '/dev/kvm';

const probeSchema = z.object({
  format: z.literal(1),
  accelerator: z.enum(['kvm', 'tcg']),
  /** From the start of QEMU to init0's first word, in milliseconds. */
  bootMs: z.number(),
  tscKhz: z.int().positive(),
  qemuVersion: z.string(),
  /** Why KVM is not used, where it is not. */
  kvmRefused: z.string().optional(),
});

/** What a real boot on this host has shown. */
export type Probe = z.infer<typeof probeSchema>;

export interface ProbeOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  namePrefix: string;
  cage: Cage;
  signal: AbortSignal;
  onProgress?: (step: string, detail?: string) => void;
}

/**
 * Finds out what really runs a guest here, by booting the boot kit: hosts exist where /dev/kvm opens, a machine can be
 * created, and a stock kernel never gets past its first instructions. The answer is kept until the host is booted
 * anew, or its kernel, processor, QEMU, the boot kit or the right to use KVM change.
 * @throws VmletError `QEMU_NOT_STARTED`, `BACKEND_UNUSABLE`
 */
export async function probeAccelerator(kit: BootKit, options: ProbeOptions): Promise<Probe> {
  const qemuVersion = await readQemuVersion(options.signal);
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const key = createHash('sha256')
    .update(JSON.stringify([kit.hash, qemuVersion, bootId, release(), cpus()[0]?.model, await kvmForbidden(options.cage)]))
    .digest('hex');
  const folder = join(options.cache, 'probe');
  const path = join(folder, `${key.slice(0, 16)}.json`);
  const known = probeSchema.safeParse(await readJsonIfExists(path, { rebuildable: true }));
  if (known.success) return known.data;

  const tscKhz = Number((await run(kit.tscRate, [], { signal: options.signal })).trim());
  const probe = await tryBoth(kit, { ...options, tscKhz, qemuVersion });
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(path, `${JSON.stringify(probe, null, 2)}\n`);
  return probe;
}

type Trial = ProbeOptions & { tscKhz: number; qemuVersion: string };

async function tryBoth(kit: BootKit, trial: Trial): Promise<Probe> {
  const { tscKhz, qemuVersion } = trial;
  let kvmRefused: string;
  try {
    const forbidden = await kvmForbidden(trial.cage);
    if (forbidden !== undefined) throw new Error(forbidden);
    trial.onProgress?.('Booting a machine under KVM');
    const bootMs = await bootOnce(kit, 'kvm', trial);
    return { format: 1, accelerator: 'kvm', bootMs, tscKhz, qemuVersion };
  } catch (error) {
    trial.signal.throwIfAborted();
    if (error instanceof VmletError && error.code === 'QEMU_NOT_STARTED') throw error;
    kvmRefused = error instanceof Error ? error.message : String(error);
  }
  trial.onProgress?.('Booting a machine under emulation', `KVM does not work here: ${kvmRefused}`);
  try {
    const bootMs = await bootOnce(kit, 'tcg', trial);
    return { format: 1, accelerator: 'tcg', bootMs, tscKhz, qemuVersion, kvmRefused };
  } catch (cause) {
    const { message, detail } = asVmletError(cause);
    throw new VmletError('BACKEND_UNUSABLE', { operands: { found: message }, cause, ...(detail ? { detail } : {}) });
  }
}

/** Boots to init0's first word, with the guest kit as the root filesystem. */
async function bootOnce(kit: BootKit, accelerator: Accelerator, trial: Trial): Promise<number> {
  using limit = deadline(DEADLINE_MS[accelerator], trial.signal);
  const spec = {
    name: `${trial.namePrefix}probe`,
    kernel: kit.kernel,
    initramfs: kit.initramfs,
    accelerator,
    tscKhz: trial.tscKhz,
    vcpus: 1,
    memoryMiB: 128,
    drives: [kit.image, kit.image],
    internet: false,
  };
  const machine = new Machine('probe', await launchQemu(spec, trial.cage), { onLog: () => {} });
  try {
    await orAborted(machine.reached('booted'), limit.signal);
    return Math.round(machine.marks[0]?.atMs ?? 0);
  } finally {
    machine.kill();
    await machine.ended;
  }
}

/** Why KVM is not even tried; undefined if the node and the user of a machine may open its device. */
async function kvmForbidden(cage: Cage): Promise<string | undefined> {
  try {
    await access(KVM_DEVICE, constants.R_OK | constants.W_OK);
    return cage.kvmRefused;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function readQemuVersion(signal: AbortSignal): Promise<string> {
  try {
    return (await run('qemu-system-x86_64', ['--version'], { signal })).split('\n')[0] ?? '';
  } catch (cause) {
    signal.throwIfAborted();
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new VmletError('QEMU_NOT_STARTED', { operands: { command: 'qemu-system-x86_64', found }, cause });
  }
}
