import type { HostFiles } from './host-files.ts';

/** Resource limits, by their numbers on x86_64. */
const RLIMITS = { fsize: 1, data: 2, core: 4, nproc: 6, nofile: 7, memlock: 8 } as const;

/** How strong the cage of one command is made. */
export interface CageShape {
  /** Path of the program that makes cages. */
  helper: string;
  host: HostFiles;
  /** Process id of the node, whose end is that of the command. */
  parent: number;
  /** The user and group that it runs as; undefined leaves those of the node. */
  user?: { uid: number; gid: number } | undefined;
  /** Mount, process, network, IPC, host name and cgroup namespaces; not as root, a user namespace as well. */
  namespaces: boolean;
  /** The network namespace that it joins; undefined gives it an empty one. */
  network?: string | undefined;
  /** Files in which a process writes 0 to enter its cgroups. */
  cgroupEntries: readonly string[];
  /** Memory that it may map for itself, in bytes, where there is no cgroup that limits what it uses. */
  dataBytes: number;
  /** Up to where it may write into a file, in bytes: 0, unless it has a disk. */
  writtenBytes: number;
  /** Processes and threads of its user. */
  processes: number;
  openFiles: number;
  /** Files of the host that it may read, by the path at which it finds them. */
  files: ReadonlyMap<string, string>;
  /** The same, of those that it may write. */
  writable: ReadonlyMap<string, string>;
  /** Devices that it may use, by their path inside. */
  devices: ReadonlyMap<string, string>;
  descriptors: { seccomp: number; report: number; keep: number };
}

/** The arguments of `cage.c`, which makes a cage and becomes `command` in it. */
export function cageCommand(shape: CageShape, command: readonly string[]): string[] {
  const { user, descriptors } = shape;
  return [
    shape.helper,
    ...['--parent', String(shape.parent)],
    ...shape.cgroupEntries.flatMap((path) => ['--cgroup', path]),
    ...(shape.namespaces ? namespaces(shape) : []),
    ...limits(shape),
    ...(user ? ['--user', String(user.uid), String(user.gid)] : []),
    ...['--seccomp', String(descriptors.seccomp), '--report', String(descriptors.report)],
    ...['--keep', String(descriptors.keep), '--'],
    ...command,
  ];
}

function namespaces({ host, network, files, writable, devices }: CageShape): string[] {
  return [
    '--namespaces',
    ...(network === undefined ? [] : ['--network', network]),
    ...host.binds.flatMap((path) => ['--bind', path, path]),
    ...host.links.flatMap(({ path, target }) => ['--link', target, path]),
    ...[...files].flatMap(([path, source]) => ['--bind', source, path]),
    ...[...writable].flatMap(([path, source]) => ['--writable', source, path]),
    ...[...devices].flatMap(([path, source]) => ['--device', source, path]),
  ];
}

function limits({ writtenBytes, dataBytes, processes, openFiles, user }: CageShape): string[] {
  const values: [keyof typeof RLIMITS, number][] = [
    // No byte beyond that into any file, whatever it finds open.
    ['fsize', writtenBytes],
    ['core', 0],
    ['memlock', 0],
    ['nofile', openFiles],
    ['data', dataBytes],
  ];
  // Counted for each user: one that is not the machine's alone has other processes.
  if (user) values.push(['nproc', processes]);
  return values.flatMap(([name, value]) => ['--limit', String(RLIMITS[name]), String(value)]);
}
