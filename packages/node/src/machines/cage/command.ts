import { dirname } from 'node:path';
import type { HostFiles } from './host-files.ts';

/** What a caged command may use, enforced by the kernel on it alone, whether or not there are cgroups. */
export interface ProcessLimits {
  /** Memory that it may map for itself, in bytes. */
  dataBytes: number;
  /** Processes and threads of its user id. */
  processes: number;
  openFiles: number;
}

/** How strong the cage of one command is made. */
export interface CageShape {
  /** Without it nothing but the command itself is there. */
  host: HostFiles;
  /** The user and group that it runs as; undefined leaves those of the node. */
  user?: { uid: number; gid: number } | undefined;
  /** Mount, process, network, IPC and host name namespaces of its own. Not as root: a user namespace as well. */
  namespaces: boolean;
  /** Left out of the namespaces; a machine with a network has one made for it. */
  shareNetwork: boolean;
  /** Files in which a process writes 0 to enter its cgroups. */
  cgroupEntries: readonly string[];
  limits: ProcessLimits;
  /** Files of the host that it may read, by the path at which it finds them. */
  files: ReadonlyMap<string, string>;
  /** The same, of those that it may write. */
  writable: ReadonlyMap<string, string>;
  /** The path inside of a library that is loaded before all others. */
  preload: string | undefined;
  /** Devices that it may use, by their path inside. */
  devices: ReadonlyMap<string, string>;
  /** Descriptors of bwrap's own; undefined without namespaces. */
  descriptors: { info: number; seccomp: number };
}

/** Enters cgroups before anything else of the chain is run, so that nothing ever runs without limits. */
const ENTER_CGROUPS = 'for entry; do shift; [ "$entry" = -- ] && break; echo 0 > "$entry" || exit 125; done; exec "$@"';
const INSIDE_HOME = '/';
/** Who an unprivileged node's machine is within its own user namespace: nobody. */
const NOBODY = '65534';

/**
 * The whole chain of commands that ends in `command`, each of which replaces the one before:
 * setpriv (die with the node), sh (cgroups), prlimit, bwrap (namespaces, seccomp), setpriv (user), command.
 */
export function cageCommand(shape: CageShape, command: readonly string[]): string[] {
  const { commands } = shape.host;
  return [
    ...[commands.setpriv, '--pdeathsig', 'KILL', '--'],
    ...(shape.cgroupEntries.length > 0
      ? [commands.sh, '-c', ENTER_CGROUPS, 'vmlet-cage', ...shape.cgroupEntries, '--']
      : []),
    ...limitsCommand(shape),
    ...(shape.namespaces ? namespacesCommand(shape) : []),
    ...userCommand(shape),
    ...command,
  ];
}

function limitsCommand({ host, limits, user }: CageShape): string[] {
  const { dataBytes, processes, openFiles } = limits;
  return [
    host.commands.prlimit,
    // No byte into any file, whatever it finds open.
    '--fsize=0',
    '--core=0',
    '--memlock=0',
    `--nofile=${openFiles}`,
    `--data=${dataBytes}`,
    // Counted for each user: one that is not the machine's alone has other processes.
    ...(user ? [`--nproc=${processes}`] : []),
    '--',
  ];
}

function namespacesCommand(shape: CageShape): string[] {
  const { host, user, descriptors } = shape;
  const { binds, symlinks } = host;
  const inside = [...binds, ...shape.files.keys(), ...shape.writable.keys(), ...shape.devices.keys()];
  return [
    host.commands.bwrap ?? '',
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup'],
    ...(shape.shareNetwork ? [] : ['--unshare-net']),
    ...(user ? [] : ['--unshare-user', '--uid', NOBODY, '--gid', NOBODY]),
    ...['--die-with-parent', '--new-session', '--as-pid-1', '--clearenv', '--hostname', 'machine'],
    // To become the machine's user and to forget all of them, setpriv needs three; none is left after it.
    ...['--cap-drop', 'ALL'],
    ...(user ? ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP'].flatMap((name) => ['--cap-add', name]) : []),
    ...['--info-fd', String(descriptors.info), '--seccomp', String(descriptors.seccomp)],
    ...foldersAbove(inside).flatMap((folder) => ['--perms', '0755', '--dir', folder]),
    ...binds.flatMap((path) => ['--ro-bind', path, path]),
    ...symlinks.flatMap(({ path, target }) => ['--symlink', target, path]),
    ...[...shape.files].flatMap(([path, source]) => ['--ro-bind', source, path]),
    ...[...shape.writable].flatMap(([path, source]) => ['--bind', source, path]),
    ...(shape.preload ? ['--setenv', 'LD_PRELOAD', shape.preload] : []),
    ...[...shape.devices].flatMap(([path, source]) => ['--dev-bind', source, path]),
    ...['--remount-ro', '/', '--chdir', INSIDE_HOME, '--'],
  ];
}

/** bwrap makes folders that are missing for root only. The outer ones first. */
function foldersAbove(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) for (let at = dirname(path); at !== '/'; at = dirname(at)) folders.add(at);
  return [...folders].sort((a, b) => a.length - b.length);
}

function userCommand({ host, user, namespaces }: CageShape): string[] {
  const { setpriv } = host.commands;
  const nothing = ['--inh-caps=-all', '--bounding-set=-all', '--no-new-privs', '--pdeathsig', 'KILL', '--'];
  if (user) return [setpriv, '--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups', ...nothing];
  return namespaces ? [] : [setpriv, '--no-new-privs', '--'];
}
