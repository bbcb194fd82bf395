import { open } from 'node:fs/promises';
import type { CgroupTree, MachineCgroup } from '../cgroup/index.ts';
import { type CageShape, cageCommand } from './command.ts';
import type { CageFindings } from './findings.ts';
import type { HostFiles } from './host-files.ts';
import { CageFailed, descriptorsOf, type ProcessExit, type StartedProcess, startProcess } from './process.ts';
import { seccompProgram } from './seccomp.ts';
import type { UidBlock } from './uids.ts';

const MIB = 1024 * 1024;
/** Threads of a QEMU: one for each processor, its main loop, and a pool for reads of up to 64. */
const MAX_PROCESSES = 128;
/** QEMU has some 30 open, and one for each drive. */
const MAX_OPEN_FILES = 256;
/** Beyond what QEMU uses: stacks and arenas are reserved, and count. In MiB. */
const RESERVED_MIB = 2048;
const CHAIN_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What is put into a cage. */
export interface CageRequest {
  /** Names its cgroup. */
  id: string;
  /** Memory that it may have, in MiB: for QEMU, the guest's and its own. */
  memoryMiB: number;
  cpus: number;
  /** How many sockets it inherits, from descriptor 3 on. */
  sockets: number;
  /** Files that it reads by a path. */
  files: readonly string[];
  /** Files that it writes, by a path; they are of the size that they stay. */
  writable?: readonly string[];
  /** A library that is loaded before all others. */
  preload?: string | undefined;
  /** Files that it reads by a descriptor that it inherits: their paths lead nowhere inside. */
  images: readonly string[];
  /** The device is passed in, and the group that may use it is the machine's. */
  kvm: boolean;
  /** It may make sockets to the internet. */
  internet: boolean;
  /** The command, given where it finds files and images. */
  command: (places: CagePlaces) => string[];
}

/** Where a caged command finds what it was given, in the order in which it was. */
export interface CagePlaces {
  files: string[];
  /** A descriptor, or, where nothing is confined, a path. */
  images: CageImage[];
  writable: string[];
}

export type CageImage = { fd: number } | { path: string };

/** A caged process as {@link StartedProcess}, whose end tells more. */
export interface CagedProcess extends Omit<StartedProcess, 'exited'> {
  readonly exited: Promise<ProcessExit & { outOfMemory: boolean }>;
}

/** What this host has to make cages of. */
export interface CageParts {
  findings: CageFindings;
  /** Undefined: commands run as they are. */
  host: HostFiles | undefined;
  namespaces: boolean;
  sandbox: boolean;
  uids: UidBlock | undefined;
  cgroups: CgroupTree | undefined;
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

  /** Whether QEMU is to filter its own system calls. */
  get sandbox(): boolean {
    return this.#parts.sandbox;
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
    const { host, namespaces, uids, cgroups } = this.#parts;
    if (!host) return startBare(request);
    await using stack = new AsyncDisposableStack();
    const uid = uids?.take();
    if (uid !== undefined) stack.defer(() => uids?.give(uid));
    const cgroup = await cgroups?.create(request.id, limitsOf(request));
    if (cgroup) stack.defer(() => cgroup.remove());
    await using opened = await openFiles([...request.images, ...(namespaces ? [] : request.files)]);
    const kvm = request.kvm && typeof this.#parts.kvm !== 'string' ? this.#parts.kvm : undefined;
    const bwrap = namespaces ? { filter: seccompProgram(request) } : undefined;
    const descriptors = descriptorsOf({ sockets: request.sockets, bwrap });
    const { writable = [], preload } = request;
    const preloads = preload === undefined ? [] : [preload];
    const places = placesOf(request, { namespaces, firstFd: descriptors.firstFile });
    const shape: CageShape = {
      ...{ host, namespaces, descriptors },
      user: uid === undefined ? undefined : { uid, gid: kvm?.gid ?? uid },
      shareNetwork: request.internet,
      cgroupEntries: cgroup?.entries ?? [],
      limits: { dataBytes: dataBytesOf(request), processes: MAX_PROCESSES, openFiles: MAX_OPEN_FILES },
      files: new Map([...request.files, ...preloads].map((source, index) => [insidePath(index), source])),
      writable: new Map(writable.map((source, index) => [writablePath(index), source])),
      preload: preloads.length > 0 ? insidePath(request.files.length) : undefined,
      devices: new Map(kvm ? [['/dev/kvm', kvm.path]] : []),
    };
    const started = await startProcess(cageCommand(shape, request.command(places)), {
      ...{ sockets: request.sockets, bwrap, files: opened.fds, env: { PATH: CHAIN_PATH } },
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
  const command = request.command({ files: [...request.files], images, writable: [...(request.writable ?? [])] });
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
  { files, images, writable = [] }: CageRequest,
  { namespaces, firstFd }: { namespaces: boolean; firstFd: number },
): CagePlaces {
  return {
    images: images.map((_, index) => ({ fd: firstFd + index })),
    writable: writable.map((path, index) => (namespaces ? writablePath(index) : path)),
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

/** No cage at all: for tests that put something else in the place of QEMU. */
export function bareCage(): Cage {
  const none = { stands: false, text: 'not asked for' };
  return new Cage({
    findings: { sandbox: none, namespaces: none, users: none, cgroups: none },
    host: undefined,
    namespaces: false,
    sandbox: false,
    uids: undefined,
    cgroups: undefined,
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

function limitsOf({ memoryMiB, cpus }: CageRequest) {
  return { memoryBytes: memoryMiB * MIB, cpus, pids: MAX_PROCESSES };
}

/** Where there are no cgroups this is what bounds memory; the stacks and arenas that are only reserved count, too. */
function dataBytesOf({ memoryMiB }: CageRequest): number {
  return (memoryMiB + RESERVED_MIB) * MIB;
}
