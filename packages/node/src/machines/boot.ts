import { randomBytes } from 'node:crypto';
import type { BootKit } from '@vmlet/guest';
import { type Deadline, deadline, orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { Accelerator } from './accelerator.ts';
import type { Cage } from './cage/index.ts';
import { wallClock } from './clock.ts';
import type { WaitingMachines } from './late/pool.ts';
import { Machine, type MachineEvents, type ThawRequest } from './machine.ts';
import type { EgressOptions } from './network/egress.ts';
import { userNetworkAddresses } from './network/user.ts';
import type { InitSource, QemuMachine } from './qemu/command-line.ts';
import { launchQemu } from './qemu/launch.ts';
import { QmpError } from './qmp/client.ts';

/** Entropy that a machine is given at its start, in bytes: what the kernel's generator is keyed with, twice. */
const ENTROPY_BYTES = 64;

/** What every machine of a node is made with. */
export interface Backend {
  kit: BootKit;
  accelerator: Accelerator;
  tscKhz: number;
  /** What its processes are confined by. */
  cage: Cage;
  /** What machines with a network card reach beyond the internet, by the operator's word. */
  egress?: EgressOptions;
  /** Processes started ahead for machines that are restored; without it each is started when it is wanted. */
  waiting?: WaitingMachines | undefined;
  /** Prefix of the names of this home's machines in the process list. */
  namePrefix: string;
}

export interface MachineSpec {
  /** Read-only root filesystem image. */
  runtimeImage: string;
  /** Read-only code image, the last drive. */
  codeImage?: string;
  /** Where init0 and the launchers come from: the boot kit unless told. Without the kit its drive is not there. */
  init?: InitSource | undefined;
  vcpus: number;
  memoryMiB: number;
  /** Whether the guest has a network card, and may open connections to anywhere. */
  internet: boolean;
  /** Exceptions to what machines with a network card do not reach. */
  egress?: EgressOptions;
  hostname: string;
  launcher: { argv: string[]; env: Record<string, string> };
}

export interface BootOptions {
  /** From the start of its process. */
  deadlineMs: number;
  events: MachineEvents;
  /** For a machine that is to be saved: a file of the size of its memory, which becomes it, and who takes its state. */
  save?: { memoryPath: string; receiver: string };
  /** How far the guest's clock is behind, in milliseconds. */
  clockBehindMs?: number;
  signal: AbortSignal;
}

/**
 * Boots a machine to `ready`: its launcher is up and waits for a program.
 * On any failure, abort included, nothing of it is left.
 * @throws VmletError `QEMU_NOT_STARTED`, `MACHINE_BOOT_TIMEOUT`, `MACHINE_BOOT_FAILED`, `MACHINE_DIED`
 */
export async function bootMachine(backend: Backend, spec: MachineSpec, options: BootOptions): Promise<Machine> {
  options.signal.throwIfAborted();
  const id = randomBytes(6).toString('hex');
  using limit = deadline(options.deadlineMs, options.signal);
  const described = { ...machineOf(backend, spec, `${backend.namePrefix}${id}`), memory: sharedMemory(options) };
  const process = await launchQemu(described, {
    cage: backend.cage,
    egress: { ...backend.egress, ...spec.egress },
    receiver: options.save?.receiver,
  });
  const machine = new Machine(id, process, options.events);
  return await broughtUp(machine, {
    steps: toReady(machine, spec, options),
    limit,
    detail: () => detailOf(spec, machine),
  });
}

interface Steps {
  steps: Promise<unknown>;
  limit: Deadline;
  /** What the owner is told where it fails. */
  detail: () => string;
}

/** The machine, when it has taken its steps and QEMU answers; else nothing of it is left, and what became of it is told. */
export async function broughtUp(machine: Machine, { steps, limit, detail }: Steps): Promise<Machine> {
  try {
    await orAborted(Promise.all([steps, machine.qmp.handshake()]), limit.signal);
    return machine;
  } catch (error) {
    machine.kill();
    const reason = await machine.ended;
    throw bootFailure(error, { machine, reason, limit, detail: detail() });
  }
}

function sharedMemory({ save }: BootOptions): QemuMachine['memory'] {
  return save && { path: save.memoryPath, share: true };
}

async function toReady(machine: Machine, spec: MachineSpec, options: BootOptions): Promise<void> {
  await failpoint('machine.spawned');
  await machine.reached('booted');
  await failpoint('machine.booted');
  machine.configure({
    ...newIdentity(spec.hostname, options.clockBehindMs),
    network: spec.internet ? userNetworkAddresses : null,
    launcher: spec.launcher,
  });
  await failpoint('machine.configured');
  await machine.reached('ready');
  await failpoint('machine.ready');
}

/** What makes a machine another than all others: name, id, entropy, and the time. */
export function newIdentity(hostname: string, clockBehindMs = 0): ThawRequest {
  return {
    hostname,
    machineId: randomBytes(16).toString('hex'),
    clock: wallClock(clockBehindMs),
    entropy: randomBytes(ENTROPY_BYTES).toString('hex'),
  };
}

/** A machine's process as QEMU is told of it. */
export function machineOf(backend: Backend, spec: MachineSpec, name: string): QemuMachine {
  const { kit } = backend;
  return {
    name,
    kernel: kit.kernel,
    initramfs: kit.initramfs,
    accelerator: backend.accelerator,
    tscKhz: backend.tscKhz,
    vcpus: spec.vcpus,
    memoryMiB: spec.memoryMiB,
    init: spec.init,
    drives: drivesOf(spec, kit),
    internet: spec.internet,
  };
}

function drivesOf({ runtimeImage, codeImage, init }: MachineSpec, kit: BootKit): string[] {
  return [runtimeImage, ...(init === 'image' ? [] : [kit.image]), ...(codeImage ? [codeImage] : [])];
}

/** A foreign init in the place of init0 would start what it knows, and never say hello. */
function detailOf({ init }: MachineSpec, machine: Machine): string {
  const console = machine.consoleTail() && `console:\n${machine.consoleTail()}`;
  const isSilent = init === 'image' && machine.marks.every(({ step }) => step === 'ended');
  const hint = isSilent && 'The image has to have the /sbin/init that this writes: vmlet runtime init-files';
  return [hint, console].filter((part) => part).join('\n');
}

interface Failure {
  machine: Machine;
  reason: VmletError;
  limit: Deadline;
  detail: string;
}

function bootFailure(error: unknown, failure: Failure): unknown {
  if (failure.limit.expired) return timeout('MACHINE_BOOT_TIMEOUT', failure);
  // QMP's socket closes a moment before the process is reaped; how that ended says more.
  return error instanceof QmpError && !failure.limit.signal.aborted ? failure.reason : error;
}

/** A timeout that lists the steps done and names the one it hung on. */
function timeout(code: 'MACHINE_BOOT_TIMEOUT', { machine, limit, detail }: Failure): VmletError {
  const done = machine.marks.filter((mark) => mark.step !== 'ended');
  const steps = done.map((mark) => `${mark.step} after ${Math.round(mark.atMs)} ms`).join(', ') || 'none';
  return new VmletError(code, { operands: { ms: limit.ms, steps }, detail });
}
