import type { Duplex, Readable } from 'node:stream';
import { VmletError } from '../../errors.ts';
import type { Cage } from '../cage/index.ts';
import { CONSOLE_FD, CONTROL_FD, QMP_FD, type QemuMachine, qemuArguments, TRANSLATED_MIB, WIRE_FD } from './command-line.ts';

const QEMU = 'qemu-system-x86_64';
const FIRST_FD = 3;
const SOCKETS = 4;
/** What QEMU needs beside the guest's memory, in MiB. */
const OVERHEAD_MIB = { kvm: 128, tcg: 128 + TRANSLATED_MIB };

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
  /** Resolves, never rejects, when the process is gone and its sockets are closed. */
  readonly exited: Promise<QemuExit>;
  /** Ends the process at once. Calling it again, or after the end, does nothing. */
  kill(): void;
}

/**
 * Starts QEMU in a cage of its own. It dies with this process, however that ends: the kernel kills it when its parent
 * is gone, and a sweep at the next start finds what slipped through.
 * @throws VmletError `QEMU_NOT_STARTED`
 */
export async function launchQemu(machine: QemuMachine, cage: Cage): Promise<QemuProcess> {
  const kvm = machine.accelerator === 'kvm';
  try {
    const { sockets, ...process } = await cage.start({
      id: machine.name,
      memoryMiB: machine.memoryMiB + OVERHEAD_MIB[machine.accelerator],
      cpus: machine.vcpus,
      sockets: SOCKETS,
      files: [machine.kernel, machine.initramfs],
      images: machine.drives,
      ...{ kvm, internet: machine.internet },
      command: ({ files: [kernel = '', initramfs = ''], images }) => [
        QEMU,
        ...qemuArguments({ ...machine, kernel, initramfs, drives: images, sandbox: cage.sandbox }),
      ],
    });
    const socket = (fd: number) => socketAt(sockets, fd);
    const [qmp, control, wire] = [socket(QMP_FD), socket(CONTROL_FD), socket(WIRE_FD)];
    return { ...process, qmp, control, wire, console: socket(CONSOLE_FD) };
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
