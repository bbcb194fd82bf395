import type { Duplex, Readable } from 'node:stream';
import { VmletError } from '../../errors.ts';
import type { Cage, CageImage } from '../cage/index.ts';
import type { EgressOptions } from '../network/egress.ts';
import { CONSOLE_FD, CONTROL_FD, type QemuMachine, QMP_FD, qemuArguments, WIRE_FD } from './command-line.ts';

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
  readonly console: Readable;
  readonly wire: Duplex;
  /** Whether its end has been seen, whose rest `exited` waits for. */
  isOver(): boolean;
  /** Where it finds the socket that it sends its state to. */
  readonly statePath: string | undefined;
  /** The number of the descriptor that it reads its state from. */
  readonly stateFd: number | undefined;
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
  /** The file of the state to be restored. */
  state?: string | undefined;
  /** A library that keeps QEMU from opening the memory for writing. */
  preload?: string | undefined;
}

/**
 * Starts QEMU in a cage of its own. It dies with this process, however that ends: the kernel kills it when its parent
 * is gone, and a sweep at the next start finds what slipped through.
 * @throws VmletError `QEMU_NOT_STARTED`
 */
export async function launchQemu(machine: QemuMachine, options: LaunchOptions): Promise<QemuProcess> {
  const kvm = machine.accelerator === 'kvm';
  const { cage, egress = {} } = options;
  const { memory } = machine;
  const preloads = memory?.share === false && options.preload !== undefined ? [options.preload] : [];
  const boots = [machine.kernel, machine.initramfs].filter((path) => path !== null);
  let stateFd: number | undefined;
  let statePath: string | undefined;
  try {
    const { sockets, ...process } = await cage.start({
      id: machine.name,
      memoryMiB: machine.memoryMiB + (kvm ? KVM_OVERHEAD_MIB : TCG_OVERHEAD_MIB),
      cpus: machine.vcpus,
      sockets: SOCKETS,
      files: [...boots, ...(memory?.share === false ? [memory.path] : []), ...preloads],
      writable: memory?.share && options.receiver ? [memory.path, options.receiver] : [],
      images: [...machine.drives, ...(options.state === undefined ? [] : [options.state])],
      ...{ kvm, internet: machine.internet ? egress : undefined },
      command: ({ files, writable, images }) => {
        const at = (path: string | null) => (path === null ? null : (files[boots.indexOf(path)] ?? path));
        const [memoryPath = ''] = memory?.share ? writable : files.slice(boots.length);
        const drives = images.slice(0, machine.drives.length);
        statePath = writable[1];
        stateFd = fdOf(images[machine.drives.length]);
        return [
          cage.qemu,
          ...qemuArguments({
            ...{ ...machine, drives, sandbox: cage.sandbox, incoming: options.state !== undefined },
            ...{ kernel: at(machine.kernel), initramfs: at(machine.initramfs) },
            memory: memory && { path: memoryPath, share: memory.share },
          }),
        ];
      },
      env: ({ files }) => {
        const [memoryPath = '', library = ''] = files.slice(boots.length);
        return preloads.length > 0 ? { LD_PRELOAD: library, VMLET_MEMORY: memoryPath } : {};
      },
    });
    const socket = (fd: number) => socketAt(sockets, fd);
    const [qmp, control, wire] = [socket(QMP_FD), socket(CONTROL_FD), socket(WIRE_FD)];
    return { ...process, qmp, control, wire, console: socket(CONSOLE_FD), statePath, stateFd };
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new VmletError('QEMU_NOT_STARTED', { operands: { command: QEMU, found }, cause });
  }
}

/** Without a cage nothing is inherited by number, and a restore is not possible. */
function fdOf(image: CageImage | undefined): number | undefined {
  return image && 'fd' in image ? image.fd : undefined;
}

function socketAt(sockets: readonly Duplex[], fd: number): Duplex {
  const socket = sockets[fd - FIRST_FD];
  if (!socket) throw new TypeError(`Cannot use descriptor ${fd}: no socket there, expected one`);
  return socket;
}
