/** Numbers of x86_64 that a machine has no use for, and a break-out has. Denied with EPERM before QEMU's first instruction. */
const DENIED = {
  // other processes and their memory
  ptrace: 101,
  process_vm_readv: 310,
  process_vm_writev: 311,
  kcmp: 312,
  pidfd_open: 434,
  pidfd_getfd: 438,
  // mounts, roots and namespaces
  mount: 165,
  umount2: 166,
  pivot_root: 155,
  chroot: 161,
  unshare: 272,
  setns: 308,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  mount_setattr: 442,
  open_by_handle_at: 304,
  name_to_handle_at: 303,
  mknod: 133,
  mknodat: 259,
  // parts of the kernel in which holes are found most often
  bpf: 321,
  perf_event_open: 298,
  userfaultfd: 323,
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  keyctl: 250,
  add_key: 248,
  request_key: 249,
  modify_ldt: 154,
  move_pages: 279,
  migrate_pages: 256,
  fanotify_init: 300,
  lookup_dcookie: 212,
  personality: 135,
  // the host itself
  kexec_load: 246,
  kexec_file_load: 320,
  init_module: 175,
  finit_module: 313,
  delete_module: 176,
  iopl: 172,
  ioperm: 173,
  reboot: 169,
  swapon: 167,
  swapoff: 168,
  acct: 163,
  quotactl: 179,
  syslog: 103,
  vhangup: 153,
  sethostname: 170,
  setdomainname: 171,
  settimeofday: 164,
  clock_settime: 227,
  adjtimex: 159,
  clock_adjtime: 305,
} as const;

const CLONE = 56;
const CLONE3 = 435;
const SOCKET = 41;
/** Every flag of clone that makes a namespace. */
const NEW_NAMESPACES = 0x7e02_0000;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

const ARCH_X86_64 = 0xc000_003e;
/** Calls of the x32 ABI have this bit, and numbers of their own: no filter by number would catch them. */
const X32_BIT = 0x4000_0000;
const ARCH_OFFSET = 4;
const NUMBER_OFFSET = 0;
const FIRST_ARGUMENT_OFFSET = 16;

const LOAD = 0x20;
const IF_EQUAL = 0x15;
const IF_AT_LEAST = 0x35;
const IF_ANY_BIT = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff_0000;
const KILL_PROCESS = 0x8000_0000;
const errno = (code: number) => 0x0005_0000 | code;

type Instruction = readonly [code: number, value: number, ifTrue?: number, ifFalse?: number];

/**
 * A seccomp program for machines, as bwrap reads it: QEMU's own `-sandbox` lets namespaces, ptrace, bpf and every kind
 * of socket through. Sockets are made only where there is a network, so nothing reaches AF_VSOCK, which no namespace holds.
 */
export function seccompProgram(options: { internet: boolean }): Buffer {
  const families = options.internet ? [AF_UNIX, AF_INET, AF_INET6] : [AF_UNIX];
  return assemble([
    [LOAD, ARCH_OFFSET],
    [IF_EQUAL, ARCH_X86_64, 1, 0],
    [RETURN, KILL_PROCESS],
    [LOAD, NUMBER_OFFSET],
    [IF_AT_LEAST, X32_BIT, 0, 1],
    [RETURN, KILL_PROCESS],
    ...Object.values(DENIED).flatMap((number): Instruction[] => [
      [IF_EQUAL, number, 0, 1],
      [RETURN, errno(EPERM)],
    ]),
    // Its flags are behind a pointer, where no filter sees them; the C library then takes clone.
    [IF_EQUAL, CLONE3, 0, 1],
    [RETURN, errno(ENOSYS)],
    [IF_EQUAL, CLONE, 0, 4],
    [LOAD, FIRST_ARGUMENT_OFFSET],
    [IF_ANY_BIT, NEW_NAMESPACES, 0, 1],
    [RETURN, errno(EPERM)],
    [RETURN, ALLOW],
    [IF_EQUAL, SOCKET, 0, 2 + 2 * families.length],
    [LOAD, FIRST_ARGUMENT_OFFSET],
    ...families.flatMap((family): Instruction[] => [
      [IF_EQUAL, family, 0, 1],
      [RETURN, ALLOW],
    ]),
    [RETURN, errno(EAFNOSUPPORT)],
    [RETURN, ALLOW],
  ]);
}

/** `struct sock_filter[]`: 16 bits of code, 8 of each jump, 32 of value. */
function assemble(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, value, ifTrue = 0, ifFalse = 0], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  return bytes;
}
