import type { Duplex, Readable } from 'node:stream';
import { VmletError } from '../../errors.ts';
import type { Cage, CageImage } from '../cage/index.ts';
import {
  CONSOLE_FD,
  CONTROL_FD,
  QMP_FD,
  type QemuMachine,
  qemuArguments,
  TRANSLATED_MIB,
  WIRE_FD,
} from './command-line.ts';

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
  /** The socket that takes the state of a machine that is to be saved. */
  receiver?: string | undefined;
  /** The file of the state to be restored. */
  state?: string;
  /** A library that keeps QEMU from opening the memory for writing. */
  preload?: string;
}

/**
 * Starts QEMU in a cage of its own. It dies with this process, however that ends: the kernel kills it when its parent
 * is gone, and a sweep at the next start finds what slipped through.
 * @throws VmletError `QEMU_NOT_STARTED`
 */
export async function launchQemu(
  machine: QemuMachine,
  cage: Cage,
  options: LaunchOptions = {},
): Promise<QemuProcess> {
  const kvm = machine.accelerator === 'kvm';
  const { memory } = machine;
  const boots = [machine.kernel, machine.initramfs].filter((path) => path !== null);
  let stateFd: number | undefined;
  let statePath: string | undefined;
  try {
    const { sockets, ...process } = await cage.start({
      id: machine.name,
      memoryMiB: machine.memoryMiB + OVERHEAD_MIB[machine.accelerator],
      cpus: machine.vcpus,
      sockets: SOCKETS,
      files: [...boots, ...(memory?.share === false ? [memory.path] : [])],
      writable: memory?.share && options.receiver ? [memory.path, options.receiver] : [],
      preload: memory?.share === false ? options.preload : undefined,
      images: [...machine.drives, ...(options.state === undefined ? [] : [options.state])],
      ...{ kvm, internet: machine.internet },
      command: ({ files, writable, images }) => {
        const at = (path: string | null) => (path === null ? null : (files[boots.indexOf(path)] ?? path));
        const [memoryPath = ''] = memory?.share ? writable : files.slice(boots.length);
        const drives = images.slice(0, machine.drives.length);
        statePath = writable[1];
        stateFd = fdOf(images[machine.drives.length]);
        return [
          QEMU,
          ...qemuArguments({
            ...{ ...machine, drives, sandbox: cage.sandbox, incoming: options.state !== undefined },
            ...{ kernel: at(machine.kernel), initramfs: at(machine.initramfs) },
            memory: memory && { path: memoryPath, share: memory.share },
          }),
        ];
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
