import { userNetworkArguments } from '../network/user.ts';
import { QEMU_SANDBOX } from './sandbox.ts';

/** How the guest's instructions are run: by the processor (kvm) or translated by QEMU (tcg). */
export type Accelerator = 'kvm' | 'tcg';

/**
 * `kit`: the boot kit's drive has the launchers; `image`: the runtime has them, and an init0 of its own; `distribution`:
 * init0 becomes the runtime's own init, such as systemd, and runs no program.
 */
export type InitSource = 'kit' | 'image' | 'distribution';

/** The file descriptors that QEMU inherits: no socket file, so nothing to find, to fill up or to leave behind. */
export const QMP_FD = 3;
export const CONTROL_FD = 4;
export const CONSOLE_FD = 5;
export const WIRE_FD = 6;

/**
 * What QEMU keeps of translated code, in MiB; what does not fit is dropped and translated again. QEMU's own default is
 * an eighth of the host's memory up to 1 GiB, which a guest could make each of its machines take.
 */
export const TRANSLATED_MIB = 256;

/** The names of the virtio-serial ports that init0 looks for. */
const CONTROL_PORT = 'vmlet.control';
const WIRE_PORT = 'vmlet.wire';

export interface QemuMachine {
  /** Appears in the process list; a sweep finds left-over machines by it. */
  name: string;
  /** Null for a machine that is restored: what it was booted from is in its memory. */
  kernel: string | null;
  initramfs: string | null;
  /** The guest's memory as a file of that size, mapped for all or as a copy of one's own; undefined leaves it to QEMU. */
  memory?: { path: string; share: boolean } | undefined;
  accelerator: Accelerator;
  tscKhz: number;
  vcpus: number;
  memoryMiB: number;
  /** Where init0 and the launchers come from: the boot kit unless told. */
  init?: InitSource | undefined;
  /** Path of a raw disk that the machine writes, which is vda then. It keeps its size. */
  disk?: string | undefined;
  /** Paths of read-only raw images, in the order of vda, vdb, ... */
  drives: readonly string[];
  /** Without it the guest has no network card. */
  internet: boolean;
}

/** Where a drive's file is found: behind a descriptor that QEMU inherits, or at a path. */
type DrivePlace = { fd: number } | { path: string };

/** A machine's command line where its images are found: behind a descriptor that QEMU inherits, or at a path. */
export interface QemuCommandLine extends Omit<QemuMachine, 'drives' | 'disk'> {
  disk?: DrivePlace | undefined;
  drives: readonly DrivePlace[];
  /** QEMU filters its own system calls. */
  sandbox: boolean;
  /** Waits for the state of a machine instead of starting one. */
  incoming: boolean;
}

/** The whole command line of a machine that boots its kernel. Order matters: it names the guest's devices. */
export function qemuArguments(machine: QemuCommandLine): string[] {
  return [
    ['-name', machine.name],
    machine.sandbox ? [...QEMU_SANDBOX] : [],
    ...memoryArguments(machine),
    ...(machine.accelerator === 'kvm'
      ? [
          ['-accel', 'kvm'],
          ['-cpu', 'host'],
        ]
      : [
          ['-accel', `tcg,tb-size=${TRANSLATED_MIB}`],
          ['-cpu', 'max'],
        ]),
    ['-smp', String(machine.vcpus)],
    ['-m', `${machine.memoryMiB}M`],
    ['-nodefaults', '-no-user-config', '-nographic', '-no-reboot'],
    ...kernelArguments(machine),
    ...drivesOf(machine).map(driveArguments),
    ...(machine.internet ? [userNetworkArguments()] : []),
    ['-device', 'virtio-serial-device'],
    portArguments({ id: 'control', fd: CONTROL_FD, name: CONTROL_PORT }),
    portArguments({ id: 'wire', fd: WIRE_FD, name: WIRE_PORT }),
    ['-chardev', `socket,id=console,fd=${CONSOLE_FD}`, '-serial', 'chardev:console'],
    ['-chardev', `socket,id=qmp,fd=${QMP_FD}`, '-mon', 'chardev=qmp,mode=control'],
    machine.incoming ? ['-incoming', 'defer'] : [],
  ].flat();
}

function memoryArguments({ memory, memoryMiB }: QemuCommandLine): string[][] {
  const type = 'microvm,acpi=on,rtc=on';
  if (!memory) return [['-machine', type]];
  const share = memory.share ? 'on' : 'off';
  return [
    ['-object', `memory-backend-file,id=ram,size=${memoryMiB}M,mem-path=${memory.path},share=${share}`],
    ['-machine', `${type},memory-backend=ram`],
  ];
}

function kernelArguments(machine: QemuCommandLine): string[][] {
  const { kernel, initramfs } = machine;
  if (kernel === null || initramfs === null) return [];
  return [
    ['-kernel', kernel],
    ['-initrd', initramfs],
    ['-append', kernelCommandLine(machine)],
  ];
}

function portArguments({ id, fd, name }: { id: string; fd: number; name: string }): string[] {
  return ['-chardev', `socket,id=${id},fd=${fd}`, '-device', `virtserialport,chardev=${id},name=${name}`];
}

function kernelCommandLine({ tscKhz, internet, init }: QemuCommandLine): string {
  // reboot=t and panic=-1 turn a panic into a triple fault, which -no-reboot turns into the end of QEMU.
  // Without tsc_early_khz, calibration sometimes hangs under emulation. The self tests of the kernel's ciphers
  // cost 0.1 s of each boot and test nothing that a machine of an hour needs.
  const words = `console=ttyS0 quiet reboot=t panic=-1 tsc=reliable tsc_early_khz=${tscKhz} cryptomgr.notests`;
  // What the kernel does not know is for init0, a word as an argument and one with "=" as a variable: whether there is a
  // card, for it leaves its drivers out without one, and whether the image brings an init0 of its own, or another init.
  const forInit0 = [internet && 'network', init && init !== 'kit' && `vmlet_init=${init}`];
  return [words, ...forInit0].filter((word) => word).join(' ');
}

interface Drive {
  place: DrivePlace;
  isWritten: boolean;
}

function drivesOf({ disk, drives }: QemuCommandLine): Drive[] {
  return [...(disk ? [{ place: disk, isWritten: true }] : []), ...drives.map((place) => ({ place, isWritten: false }))];
}

function driveArguments({ place, isWritten }: Drive, index: number): string[] {
  const access = { 'read-only': !isWritten, ...(isWritten ? { discard: 'unmap' } : {}) };
  const node = {
    driver: 'raw',
    'node-name': `drive${index}`,
    ...access,
    // Images are shared by all machines and never written: locks would only make the second start fail. A disk is one
    // machine's, which who starts it sees to.
    file: { driver: 'file', filename: fileNameOf(place, index), ...access, locking: 'off' },
  };
  const fdset = 'fd' in place ? ['-add-fd', `fd=${place.fd},set=${index}`] : [];
  return [...fdset, '-blockdev', JSON.stringify(node), '-device', `virtio-blk-device,drive=drive${index}`];
}

/** A descriptor comes by the number of the set that it is in. */
function fileNameOf(place: DrivePlace, index: number): string {
  return 'fd' in place ? `/dev/fdset/${index}` : place.path;
}
