import { randomBytes } from 'node:crypto';
import { deadline, orAborted } from '../../deadline.ts';
import { type Backend, broughtUp } from '../boot.ts';
import { Machine } from '../machine.ts';
import type { EgressOptions } from '../network/egress.ts';
import { launchQemu } from '../qemu/launch.ts';

/** What a getty of any distribution asks with, behind the name of its host. */
const LOGIN_PROMPT = /\blogin: ?/;

/** A machine with a disk of its own, on which a distribution's init brings up what it finds. */
export interface InstanceSpec {
  /** Raw disk that it writes, made by `makeDisk`. Whoever boots it sees to it that no other machine has it. */
  disk: string;
  vcpus: number;
  memoryMiB: number;
  /** Whether the guest has a network card, and may open connections to anywhere. */
  internet: boolean;
  /** Exceptions to what machines with a network card do not reach. */
  egress?: EgressOptions;
}

export interface InstanceOptions {
  /** From the start of its process to the prompt. */
  deadlineMs: number;
  signal: AbortSignal;
}

/**
 * Boots an instance until its console asks who logs in. The machine stays `booted`: init0 is gone, its control port and
 * wire have nobody behind them, and what is said to the guest goes by its console or its network.
 * On any failure, abort included, nothing of it is left but its disk.
 * @throws VmletError `QEMU_NOT_STARTED`, `MACHINE_BOOT_TIMEOUT`, `MACHINE_BOOT_FAILED`, `MACHINE_DIED`
 */
export async function bootInstance(backend: Backend, spec: InstanceSpec, options: InstanceOptions): Promise<Machine> {
  options.signal.throwIfAborted();
  const { kit, cage } = backend;
  const id = randomBytes(6).toString('hex');
  using limit = deadline(options.deadlineMs, options.signal);
  const described = {
    ...{ name: `${backend.namePrefix}${id}`, kernel: kit.kernel, initramfs: kit.initramfs },
    ...{ accelerator: backend.accelerator, tscKhz: backend.tscKhz },
    ...{ vcpus: spec.vcpus, memoryMiB: spec.memoryMiB, internet: spec.internet },
    ...{ init: 'distribution' as const, disk: spec.disk, drives: [kit.image] },
  };
  const process = await launchQemu(described, { cage, egress: { ...backend.egress, ...spec.egress } });
  // No init0 passes on what its programs say.
  const machine = new Machine(id, process, { onLog: () => {} });
  return await broughtUp(machine, {
    steps: toLogin(machine, limit.signal),
    limit,
    detail: () => machine.consoleTail() && `console:\n${machine.consoleTail()}`,
  });
}

async function toLogin(machine: Machine, signal: AbortSignal): Promise<void> {
  await machine.reached('booted');
  await Promise.race([
    machine.console.until(LOGIN_PROMPT, signal),
    machine.ended.then((reason) => Promise.reject(reason)),
  ]);
}

/**
 * Shuts an instance down by its power button, which systemd and others listen to; one that has not powered off after
 * `graceMs` is killed. Returns when nothing of it is left; calling it twice is fine.
 */
export async function haltInstance(machine: Machine, graceMs: number): Promise<void> {
  using limit = deadline(graceMs);
  machine.pressPowerButton();
  await orAborted(machine.ended, limit.signal).catch(() => machine.kill());
  await machine.ended;
}
