import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { failpoint } from '../../failpoint.ts';
import type { CgroupTree, MachineCgroup } from '../cgroup/index.ts';
import type { Passing } from '../late/passing.ts';
import { type EgressOptions, openEgress } from '../network/egress.ts';
import { type CageShape, cageCommand } from './command.ts';
import type { CageFindings } from './findings.ts';
import type { HostFiles } from './host-files.ts';
import { descriptorsOf, type ProcessExit, type StartedProcess, startProcess } from './process.ts';
import { seccompProgram } from './seccomp.ts';
import type { UidBlock } from './uids.ts';

const MIB = 1024 * 1024;
/** Threads of a QEMU: one for each processor, its main loop, and a pool for reads of up to 64. */
const MAX_PROCESSES = 128;
/** QEMU has some 30 open, and one for each drive. */
const MAX_OPEN_FILES = 256;
/** What QEMU's main loop may take beside the guest's processors. */
const MAIN_LOOP_CPUS = 0.25;
/** Beyond what QEMU uses: stacks and arenas are reserved, and count. In MiB. */
const RESERVED_MIB = 2048;
const HOST_RESOLVER = '/etc/resolv.conf';

/** What is put into a cage. */
export interface CageRequest {
  /** Names its cgroup. */
  id: string;
  /** Memory that it may have, in MiB: for QEMU, the guest's and its own. */
  memoryMiB: number;
  cpus: number;
  /** Whether all others go before it where processors are short. */
  background?: boolean | undefined;
  /** How many sockets it inherits, from descriptor 3 on. */
  sockets: number;
  /** Files that it reads by a path. */
  files: readonly string[];
  /** Files that it writes, by a path; they are of the size that they stay. */
  writable?: readonly string[];
  /** Files that it reads by a descriptor that it inherits: their paths lead nowhere inside. */
  images: readonly string[];
  /** A file that it reads and writes by a descriptor that it inherits, within the size that it has. */
  disk?: string | undefined;
  /** More descriptors that it inherits, which stay the caller's. */
  inherited?: readonly number[] | undefined;
  /** The device is passed in, and the group that may use it is the machine's. */
  kvm: boolean;
  /** It may open connections to the internet; what is reached beyond that. */
  internet: EgressOptions | undefined;
  /** The command, given where it finds files and images. */
  command: (places: CagePlaces) => string[];
  /** Its environment, which is empty unless told. */
  env?: ((places: CagePlaces) => Record<string, string>) | undefined;
}

/** Where a caged command finds what it was given, in the order in which it was. */
export interface CagePlaces {
  files: string[];
  /** A descriptor, or, where nothing is confined, a path. */
  images: CageImage[];
  writable: string[];
  disk: CageImage | undefined;
  /** Numbers of the inherited descriptors. */
  inherited: number[];
}

export type CageImage = { fd: number } | { path: string };

/** A caged process as {@link StartedProcess}, whose end tells more. */
export interface CagedProcess extends Omit<StartedProcess, 'exited'> {
  readonly exited: Promise<ProcessExit & { outOfMemory: boolean }>;
}

/** What this host has to make cages of. */
export interface CageParts {
  findings: CageFindings;
  /** The program that makes cages, and what they hold; undefined: commands run as they are. */
  made: { helper: string; host: HostFiles } | undefined;
  /** Hands on descriptors to a process that has begun; undefined: nothing is handed on. */
  passing: Passing | undefined;
  namespaces: boolean;
  sandbox: boolean;
  uids: UidBlock | undefined;
  cgroups: CgroupTree | undefined;
  /** Where machines get a network of their own to the internet: the file that tells them of the resolver, and a folder. */
  egress: { resolver: string; networks: string } | undefined;
  /** The device, and the group that may use it where not everyone may; or why machines have none. */
  kvm: KvmDevice | string;
}

export interface KvmDevice {
  path: string;
  gid?: number;
}

/** Runs commands in cages, each in one of its own. Disposing of it gives back user ids and cgroups. */
export class Cage implements AsyncDisposable {
  readonly #parts: CageParts;
  constructor(parts: CageParts) {
    this.#parts = parts;
  }

  get findings(): CageFindings {
    return this.#parts.findings;
  }

  /** The command by which QEMU is started. */
  get qemu(): string {
    return this.#parts.made?.host.qemu ?? 'qemu-system-x86_64';
  }

  /** Whether QEMU is to filter its own system calls. */
  get sandbox(): boolean {
    return this.#parts.sandbox;
  }

  /** How files are handed to a process that waits for them; undefined where nothing is confined. */
  get passing(): Passing | undefined {
    return this.#parts.passing;
  }

  /** Why no machine may use KVM from within; undefined if they may. */
  get kvmRefused(): string | undefined {
    return typeof this.#parts.kvm === 'string' ? this.#parts.kvm : undefined;
  }

  /**
   * Starts a command in a cage of its own. On failure nothing of it is left.
   * @throws CageFailed, or an Error of the system
   */
  async start(request: CageRequest): Promise<CagedProcess> {
    const { made, namespaces, uids, cgroups, egress } = this.#parts;
    if (!made) return startBare(request);
    await using stack = new AsyncDisposableStack();
    const uid = uids?.take();
    if (uid !== undefined) stack.defer(() => uids?.give(uid));
    const cgroup = await cgroups?.create(request.id, limitsOf(request));
    if (cgroup) stack.defer(() => cgroup.remove());
    await failpoint('cage.made');
    const network = egress && request.internet ? join(egress.networks, request.id) : undefined;
    if (network) stack.use(await openEgress(network, request.internet));
    await using opened = await openFiles([...request.images, ...(namespaces ? [] : request.files)]);
    await using disk = await openDisk(request.disk);
    const kvm = request.kvm && typeof this.#parts.kvm !== 'string' ? this.#parts.kvm : undefined;
    const files = [...opened.fds, ...disk.fds, ...(request.inherited ?? [])];
    const descriptors = descriptorsOf({ sockets: request.sockets, files });
    const places = placesOf(request, { namespaces, firstFd: descriptors.firstFile });
    const shape: CageShape = {
      ...made,
      ...{ namespaces, descriptors, parent: process.pid },
      user: uid === undefined ? undefined : { uid, gid: kvm?.gid ?? uid },
      network: network ?? (request.internet ? 'host' : undefined),
      cgroupEntries: cgroup?.entries ?? [],
      ...{ dataBytes: dataBytesOf(request), processes: MAX_PROCESSES, openFiles: MAX_OPEN_FILES },
      writtenBytes: disk.bytes,
      files: new Map([
        ...request.files.map((source, index) => [insidePath(index), source] as const),
        ...(request.internet ? [['/etc/resolv.conf', egress?.resolver ?? HOST_RESOLVER] as const] : []),
      ]),
      writable: new Map((request.writable ?? []).map((source, index) => [writablePath(index), source])),
      devices: new Map(kvm ? [['/dev/kvm', kvm.path]] : []),
    };
    const started = await startProcess(cageCommand(shape, request.command(places)), {
      ...{ sockets: request.sockets, files, env: request.env?.(places) ?? {} },
      filter: seccompProgram({ internet: request.internet !== undefined }),
    });
    const owned = stack.move();
    return { ...started, exited: started.exited.then((exit) => ended(exit, { cgroup, owned })) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.cgroups?.[Symbol.asyncDispose]();
    await this.#parts.uids?.[Symbol.asyncDispose]();
  }
}

async function startBare(request: CageRequest): Promise<CagedProcess> {
  const images = request.images.map((path) => ({ path }));
  const writable = [...(request.writable ?? [])];
  const disk = request.disk === undefined ? undefined : { path: request.disk };
  const command = request.command({ files: [...request.files], images, writable, disk, inherited: [] });
  const started = await startProcess(['setpriv', '--pdeathsig', 'KILL', '--', ...command], {
    ...{ sockets: request.sockets, files: [], env: process.env },
  });
  return { ...started, exited: started.exited.then((exit) => ({ ...exit, outOfMemory: false })) };
}

/** Names inside tell nothing of the host. */
const insidePath = (index: number) => `/machine/${index}`;
const writablePath = (index: number) => `/machine/writable/${index}`;

/** Without namespaces the host's /proc is there, and leads to open files past the folders that hide them. */
function placesOf(
  { files, images, disk, writable = [], inherited = [] }: CageRequest,
  { namespaces, firstFd }: { namespaces: boolean; firstFd: number },
): CagePlaces {
  const diskFd = firstFd + images.length + (namespaces ? 0 : files.length);
  return {
    disk: disk === undefined ? undefined : { fd: diskFd },
    images: images.map((_, index) => ({ fd: firstFd + index })),
    writable: writable.map((path, index) => (namespaces ? writablePath(index) : path)),
    inherited: inherited.map((_, index) => diskFd + (disk === undefined ? 0 : 1) + index),
    files: files.map((_, index) =>
      namespaces ? insidePath(index) : `/proc/self/fd/${firstFd + images.length + index}`,
    ),
  };
}

async function openFiles(paths: readonly string[]): Promise<AsyncDisposable & { fds: number[] }> {
  await using stack = new AsyncDisposableStack();
  const fds: number[] = [];
  for (const path of paths) {
    const handle = await open(path, 'r');
    stack.defer(() => handle.close());
    fds.push(handle.fd);
  }
  const owned = stack.move();
  return { fds, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** No byte may be written to any file, but within the size of a disk. */
async function openDisk(path: string | undefined): Promise<AsyncDisposable & { fds: number[]; bytes: number }> {
  if (path === undefined) return { fds: [], bytes: 0, [Symbol.asyncDispose]: async () => {} };
  const handle = await open(path, 'r+');
  const { size } = await handle.stat();
  return { fds: [handle.fd], bytes: size, [Symbol.asyncDispose]: () => handle.close() };
}

/** No cage at all: for tests that put something else in the place of QEMU. */
export function bareCage(): Cage {
  const none = { stands: false, text: 'not asked for' };
  return new Cage({
    findings: { sandbox: none, namespaces: none, users: none, cgroups: none, egress: none },
    made: undefined,
    passing: undefined,
    namespaces: false,
    sandbox: false,
    uids: undefined,
    cgroups: undefined,
    egress: undefined,
    kvm: { path: '/dev/kvm' },
  });
}

async function ended(
  exit: ProcessExit,
  { cgroup, owned }: { cgroup: MachineCgroup | undefined; owned: AsyncDisposableStack },
): Promise<ProcessExit & { outOfMemory: boolean }> {
  const outOfMemory = (await cgroup?.ranOutOfMemory().catch(() => false)) ?? false;
  // A cgroup that cannot be removed is no reason to say that the process has not ended: the next node sweeps it.
  await owned.disposeAsync().catch(() => {});
  return { ...exit, outOfMemory };
}

function limitsOf({ memoryMiB, cpus, background = false }: CageRequest) {
  return { memoryBytes: memoryMiB * MIB, cpus: cpus + MAIN_LOOP_CPUS, pids: MAX_PROCESSES, background };
}

/** Where there are no cgroups this is what bounds memory; the stacks and arenas that are only reserved count, too. */
function dataBytesOf({ memoryMiB }: CageRequest): number {
  return (memoryMiB + RESERVED_MIB) * MIB;
}
