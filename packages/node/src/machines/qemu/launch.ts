import type { Duplex } from 'node:stream';
import { VmletError } from '../../errors.ts';
import type { Cage, CagePlaces, CageRequest } from '../cage/index.ts';
import type { EgressOptions } from '../network/egress.ts';
import {
  CONSOLE_FD,
  CONTROL_FD,
  type QemuCommandLine,
  type QemuMachine,
  QMP_FD,
  qemuArguments,
  WIRE_FD,
} from './command-line.ts';

const QEMU = 'qemu-system-x86_64';
const FIRST_FD = 3;
const SOCKETS = 4;
/** What QEMU needs beside the guest's memory, in MiB; under emulation, with all its translated code. */
const KVM_OVERHEAD_MIB = 128;
const TCG_OVERHEAD_MIB = 384;

/** How a QEMU process ended. */
export interface QemuExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
  /** The kernel ended it, for its cgroup was out of memory. */
  outOfMemory: boolean;
}

/** A running QEMU process and the sockets that it inherited. */
export interface QemuProcess {
  readonly pid: number;
  readonly qmp: Duplex;
  readonly control: Duplex;
  readonly console: Duplex;
  readonly wire: Duplex;
  /** Whether its end has been seen, whose rest `exited` waits for. */
  isOver(): boolean;
  /** Where it finds the socket that it sends its state to. */
  readonly statePath: string | undefined;
  /** Resolves, never rejects, when the process is gone and its sockets are closed. */
  readonly exited: Promise<QemuExit>;
  /** Ends the process at once. Calling it again, or after the end, does nothing. */
  kill(): void;
}

export interface LaunchOptions {
  cage: Cage;
  egress?: EgressOptions | undefined;
  /** The socket that takes the state of a machine that is to be saved. */
  receiver?: string | undefined;
}

/**
 * Starts QEMU in a cage of its own. It dies with this process, however that ends: the kernel kills it when its parent
 * is gone, and a sweep at the next start finds what slipped through.
 * @throws VmletError `QEMU_NOT_STARTED`
 */
export function launchQemu(machine: QemuMachine, options: LaunchOptions): Promise<QemuProcess> {
  const { memory } = machine;
  const boots = [machine.kernel, machine.initramfs].filter((path) => path !== null);
  const writable = [memory?.path, options.receiver].filter((path) => path !== undefined);
  return start(machine, options, {
    ...{ files: boots, writable, images: machine.drives, disk: machine.disk },
    commandLine: (places) => {
      const at = (path: string | null) => (path === null ? null : (places.files[boots.indexOf(path)] ?? path));
      const memoryPath = places.writable[0] ?? '';
      return {
        ...{ ...machine, drives: places.images, disk: places.disk, incoming: false },
        ...{ kernel: at(machine.kernel), initramfs: at(machine.initramfs) },
        memory: memory && { path: memoryPath, share: memory.share },
      };
    },
    statePath: (places) => (memory && options.receiver ? places.writable[1] : undefined),
  });
}

export interface WaitingOptions extends LaunchOptions {
  /** The library by which it waits. */
  library: string;
  /** The far end of the socket on which its files come; it stays the caller's. */
  socket: number;
  /** Numbers that its files have when they have come. */
  numbers: { memoryPath: string; drives: readonly number[] };
}

/**
 * Starts QEMU as {@link launchQemu} does, for a machine that is restored: it waits for its files before it does anything,
 * and for its state after that. The machine's drives and memory are paths of nothing yet.
 * @throws VmletError `QEMU_NOT_STARTED`
 */
export function launchWaiting(machine: QemuMachine, options: WaitingOptions): Promise<QemuProcess> {
  const { library, socket, numbers, receiver } = options;
  return start(machine, options, {
    ...{ files: [library], writable: receiver === undefined ? [] : [receiver], images: [], inherited: [socket] },
    commandLine: () => ({
      ...{ ...machine, disk: undefined, kernel: null, initramfs: null, incoming: true },
      drives: numbers.drives.map((fd) => ({ fd })),
      memory: { path: numbers.memoryPath, share: machine.memory?.share ?? false },
    }),
    statePath: (places) => places.writable[0],
    env: ({ files, inherited }) => ({
      LD_PRELOAD: files[0] ?? '',
      VMLET_LATE: String(inherited[0]),
      VMLET_MEMORY: numbers.memoryPath,
    }),
  });
}

interface Launch extends Pick<CageRequest, 'files' | 'writable' | 'images' | 'disk' | 'inherited' | 'env'> {
  commandLine: (places: CagePlaces) => Omit<QemuCommandLine, 'sandbox'>;
  statePath: (places: CagePlaces) => string | undefined;
}

async function start(
  machine: QemuMachine,
  { cage, egress = {}, receiver }: LaunchOptions,
  { commandLine, statePath, ...files }: Launch,
): Promise<QemuProcess> {
  const kvm = machine.accelerator === 'kvm';
  let path: string | undefined;
  try {
    const { sockets, ...process } = await cage.start({
      id: machine.name,
      memoryMiB: machine.memoryMiB + (kvm ? KVM_OVERHEAD_MIB : TCG_OVERHEAD_MIB),
      cpus: machine.vcpus,
      sockets: SOCKETS,
      // Nobody waits for a machine that is made to be saved.
      background: receiver !== undefined,
      ...files,
      ...{ kvm, internet: machine.internet ? egress : undefined },
      command: (places) => {
        path = statePath(places);
        return [cage.qemu, ...qemuArguments({ ...commandLine(places), sandbox: cage.sandbox })];
      },
    });
    const socket = (fd: number) => socketAt(sockets, fd);
    const [qmp, control, wire] = [socket(QMP_FD), socket(CONTROL_FD), socket(WIRE_FD)];
    return { ...process, qmp, control, wire, console: socket(CONSOLE_FD), statePath: path };
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new VmletError('QEMU_NOT_STARTED', { operands: { command: QEMU, found }, cause });
  }
}

function socketAt(sockets: readonly Duplex[], fd: number): Duplex {
  const socket = sockets[fd - FIRST_FD];
  if (!socket) throw new TypeError(`Cannot use descriptor ${fd}: no socket there, expected one`);
  return socket;
}
