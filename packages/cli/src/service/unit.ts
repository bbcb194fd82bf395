/** What a unit is made for. */
export interface UnitRequest {
  /** Of the whole machine, started at boot as root; or of one user, with what that user may do. */
  scope: 'system' | 'user';
  /** Absolute path of the `vmlet` command. */
  command: string;
  /** Options of `vmlet up`, as they are typed. */
  args: readonly string[];
  /** Folders, where they are not those of the scope. */
  home?: string | undefined;
}

/** Where vmlet may be that `ProtectHome=yes` would hide. */
const HOMES = /^\/(home|root|run\/user)\//;

/** Ports below it are for root. */
const FIRST_FREE_PORT = 1024;

/** A comment, or a line of the unit. */
type Line = string;

/**
 * The unit file of a node. What a line costs or why it is left out stands above it, for whoever reads or changes it.
 * When it stops, `--drain-delay` takes 30 s at most, requests under way get 30 s, and machines 15 s more: `TimeoutStopSec`
 * is above their sum.
 */
export function unitFile(request: UnitRequest): string {
  const { scope } = request;
  const sections: Record<string, Line[]> = {
    Unit: [
      'Description=vmlet node',
      ...(scope === 'system' ? ['Wants=network-online.target', 'After=network-online.target'] : []),
    ],
    Service: [
      ...lifeLines(request),
      ...(scope === 'system' ? [...folderLines(request), ...rootLines(request), ...hostLines(request)] : []),
      ...commonLines(),
    ],
    Install: [`WantedBy=${scope === 'system' ? 'multi-user.target' : 'default.target'}`],
  };
  return Object.entries(sections)
    .map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`)
    .join('\n');
}

function lifeLines({ scope, command, args, home }: UnitRequest): Line[] {
  const homeArgs = home === undefined ? [] : ['--home', home];
  return [
    '# systemd-notify, which the node runs, says when it accepts requests.',
    'Type=notify',
    'NotifyAccess=all',
    // Variables are put into command lines only.
    `ExecStart=${[command, 'up', ...homeArgs, ...args].map((word) => quoted(word.replaceAll('$', '$$$$'))).join(' ')}`,
    '# The first start makes the boot kit.',
    'TimeoutStartSec=10min',
    '# SIGTERM goes to the node alone, which answers what is under way and halts its machines.',
    'KillMode=mixed',
    'TimeoutStopSec=90',
    'Restart=on-failure',
    'RestartSec=2',
    '# A machine that runs out of memory is no reason to stop the node.',
    'OOMPolicy=continue',
    '# Machines get cgroups of their own below that of the service.',
    'Delegate=yes',
    'LimitNOFILE=65536',
    ...(scope === 'system' ? ['TasksMax=32768'] : []),
  ];
}

function folderLines({ home }: UnitRequest): Line[] {
  return [
    'Environment=VMLET_HOME=/var/lib/vmlet VMLET_CACHE=/var/cache/vmlet VMLET_CONFIG=/etc/vmlet HOME=/var/lib/vmlet',
    'StateDirectory=vmlet',
    'StateDirectoryMode=0700',
    'CacheDirectory=vmlet',
    'CacheDirectoryMode=0700',
    'ConfigurationDirectory=vmlet',
    'ConfigurationDirectoryMode=0700',
    '# The key is made on the first start.',
    'ReadWritePaths=/etc/vmlet',
    ...(home === undefined ? [] : ['# Must be there when the service starts.', `ReadWritePaths=${quoted(home)}`]),
  ];
}

/** Root with what it takes to put each machine into namespaces and under a user of its own, and no more. */
function rootLines({ args }: UnitRequest): Line[] {
  const capabilities: [string, string][] = [
    ['CAP_SYS_ADMIN', 'namespaces of machines, and the mounts inside them'],
    ['CAP_NET_ADMIN', 'rules and routes inside the network namespace of a machine'],
    ['CAP_SETUID', 'the user of a machine'],
    ['CAP_SETGID', 'its group'],
    ['CAP_SETPCAP', 'taking all of these away from a machine'],
    ['CAP_KILL', 'ending machines, which run as other users'],
    ...(listensLow(args) ? [['CAP_NET_BIND_SERVICE', 'a port below 1024'] as [string, string]] : []),
  ];
  return [
    '# Root, so that each machine can have a user id of its own; of all that root may do, this is left:',
    ...capabilities.map(([name, why]) => `#   ${name}: ${why}`),
    `CapabilityBoundingSet=${capabilities.map(([name]) => name).join(' ')}`,
    'AmbientCapabilities=',
  ];
}

/** Whether a port is asked for that only root may have. */
function listensLow(args: readonly string[]): boolean {
  const port = Number(/:(\d+)$/.exec(args[args.lastIndexOf('--listen') + 1] ?? '')?.[1] ?? Number.NaN);
  return args.includes('--listen') && port > 0 && port < FIRST_FREE_PORT;
}

function hostLines({ command }: UnitRequest): Line[] {
  const isInHome = HOMES.test(command);
  return [
    'ProtectSystem=strict',
    ...(isInHome ? ['# vmlet itself is in a home. In /opt it could be ProtectHome=yes.'] : []),
    `ProtectHome=${isInHome ? 'read-only' : 'yes'}`,
    'PrivateTmp=yes',
    'ProtectClock=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    '# KVM is the one device that machines use, and the tap that of their networks; the others are those of every service.',
    'DevicePolicy=closed',
    'DeviceAllow=/dev/kvm rw',
    'DeviceAllow=/dev/net/tun rw',
    '# Not ProtectControlGroups, RestrictNamespaces, ProtectHostname: machines get cgroups, namespaces and host names.',
    '# Not ProtectProc: what a killed node has left is found in /proc, and runs as other users.',
  ];
}

function commonLines(): Line[] {
  return [
    'NoNewPrivileges=yes',
    'LockPersonality=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'KeyringMode=private',
    'UMask=0077',
    '# Netlink is for the loopback inside a network namespace.',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
    'SystemCallArchitectures=native',
    '# What services use, and what makes the namespaces of machines.',
    'SystemCallFilter=@system-service @mount sethostname seccomp',
    'SystemCallErrorNumber=EPERM',
    '# Not MemoryDenyWriteExecute: V8 and QEMU make machine code while they run.',
  ];
}

/** As systemd reads a word: `%` means something to it, and so do quotes, backslashes and blanks. */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%');
  return /^[\w@+:,./%$=-]+$/.test(escaped) ? escaped : `"${escaped.replace(/["\\]/g, '\\$&')}"`;
}
