import { access, constants } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { ensureBootKit } from '@vmlet/guest';
import { DiskSpace } from './disk-space.ts';
import { type Cage, type CageFindings, openCage } from './machines/cage/index.ts';
import { type Probe as AcceleratorProbe, probeAccelerator } from './machines/index.ts';
import type { SnapshotFacts } from './snapshot-making.ts';
import { openCache } from './store/index.ts';
import { type Check, examine, type Finding, type Probe } from './telemetry/index.ts';

const MIB = 1024 * 1024;
/** With less than this above what is to stay free, a deployment is likely to be refused, in MiB. */
const LOW_DISK_MIB = 1024;
const LOW_MEMORY_MIB = 512;

const TOOLS: Record<string, string> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  setpriv: 'util-linux',
  mksquashfs: 'squashfs-tools',
  'mkfs.erofs': 'erofs-utils',
  mke2fs: 'e2fsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  mmdebstrap: 'mmdebstrap',
  'apt-ftparchive': 'apt-utils',
  bwrap: 'bubblewrap',
  newuidmap: 'uidmap',
  xz: 'xz-utils',
  cpio: 'cpio',
  lz4: 'lz4',
  gcc: 'gcc',
};

export interface DiagnoseOptions {
  home: string;
  /** Boots a machine, or gives what an earlier boot has shown. */
  probe: () => Promise<AcceleratorProbe>;
  /** What confines machines here. */
  confinement: () => Promise<CageFindings>;
  /** With less than this free nothing new is taken; what the node does by default, unless told. */
  minFreeDiskBytes?: number | undefined;
  /** What there is of snapshots, as a running node knows it: undefined if it makes none. */
  snapshots?: () => Promise<SnapshotFacts | undefined>;
}

/** As {@link diagnose}, for a host on which no node runs: makes the boot kit and boots a machine if nobody has yet. */
export async function diagnoseHost(options: { home: string; cache: string; signal?: AbortSignal }): Promise<Check[]> {
  const { home, cache, signal = new AbortController().signal } = options;
  await using stack = new AsyncDisposableStack();
  let opened: Promise<Cage> | undefined;
  const openOnce = () => {
    opened ??= openCage({ name: `vmlet-doctor-${process.pid}`, homeId: '', cache, signal }).then((cage) =>
      stack.use(cage),
    );
    return opened;
  };
  const probe = async () => {
    await openCache(cache);
    const kit = await ensureBootKit({ cache, signal });
    return probeAccelerator(kit, { cache, namePrefix: 'vmlet-doctor-', cage: await openOnce(), signal });
  };
  return await diagnose({ home, probe, confinement: async () => (await openOnce()).findings });
}

/** Looks at everything that a node needs of its host; what `vmlet doctor` prints. */
export function diagnose(options: DiagnoseOptions): Promise<Check[]> {
  return examine(catalogue(options));
}

function catalogue(options: DiagnoseOptions): Probe[] {
  return [
    { code: 'PLATFORM', title: 'Platform', check: checkPlatform },
    { code: 'TOOLS', title: 'Programs of the host', dependsOn: ['PLATFORM'], check: checkTools },
    { code: 'MACHINES', title: 'Machines', dependsOn: ['TOOLS'], check: () => checkMachines(options.probe) },
    { code: 'MEMORY', title: 'Memory', check: checkMemory },
    { code: 'DISK', title: 'Disk', check: () => checkDisk(options) },
    ...confinementChecks(options.confinement),
    ...snapshotChecks(options.snapshots),
  ];
}

async function checkPlatform(): Promise<Finding> {
  if (process.platform === 'linux' && process.arch === 'x64') return { status: 'ok', text: 'Linux on x86_64' };
  const text = `${process.platform} on ${process.arch}, expected Linux on x86_64`;
  return { status: 'error', text, fix: 'Run vmlet on a Linux machine with an x86_64 processor' };
}

async function checkTools(): Promise<Finding> {
  const names = Object.keys(TOOLS);
  const found = await Promise.all(names.map(isOnPath));
  const missing = names.filter((_, index) => !found[index]);
  if (missing.length === 0) return { status: 'ok', text: `${names.join(', ')} are installed` };
  const packages = [...new Set(missing.map((name) => TOOLS[name]))].join(' ');
  return {
    status: 'error',
    text: `missing: ${missing.join(', ')}`,
    fix: `apt-get install --no-install-recommends ${packages}`,
  };
}

async function isOnPath(name: string): Promise<boolean> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const found = await access(join(folder, name), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

async function checkMachines(probe: () => Promise<AcceleratorProbe>): Promise<Finding> {
  const { accelerator, bootMs, qemuVersion, kvmRefused } = await probe();
  const text = `${qemuVersion}; a machine boots in ${bootMs} ms with ${accelerator.toUpperCase()}`;
  if (accelerator === 'kvm') return { status: 'ok', text };
  return {
    status: 'warning',
    text: `${text}; KVM does not work here: ${kvmRefused ?? 'unknown'}`,
    fix: 'Use a host with working KVM (bare metal, or nested virtualisation) for quicker starts',
  };
}

async function checkMemory(): Promise<Finding> {
  const freeMiB = Math.round(freemem() / MIB);
  const text = `${freeMiB} of ${Math.round(totalmem() / MIB)} MiB are free`;
  if (freeMiB >= LOW_MEMORY_MIB) return { status: 'ok', text };
  return { status: 'warning', text, fix: 'Stop something, or run the node with a smaller --memory-budget' };
}

async function checkDisk({ home, minFreeDiskBytes: minFreeBytes }: DiagnoseOptions): Promise<Finding> {
  // A home that is not made yet will be on the disk of its nearest folder that is there; root's is a good guess.
  const folder = await access(home).then(
    () => home,
    () => '/',
  );
  const facts = await new DiskSpace(folder, { minFreeBytes }).facts();
  const [freeMiB, minFreeMiB] = [facts.freeBytes, facts.minFreeBytes].map((bytes) => Math.round(bytes / MIB));
  const text = `${freeMiB} MiB are free for the home; below ${minFreeMiB} nothing new is taken`;
  if (facts.freeBytes < facts.minFreeBytes) {
    const fix = 'Free space, see vmlet gc --dry-run, or run the node with a smaller --min-free-disk';
    return { status: 'error', text: `${text}: uploads and new messages are refused`, fix };
  }
  if (facts.freeBytes >= facts.minFreeBytes + LOW_DISK_MIB * MIB) return { status: 'ok', text };
  return { status: 'warning', text, fix: 'Free space, see vmlet gc --dry-run, or move the home with --home' };
}

function snapshotChecks(facts: DiagnoseOptions['snapshots']): Probe[] {
  if (!facts) return [];
  return [{ code: 'SNAPSHOTS', title: 'Snapshots', check: async () => snapshotFinding(await facts()) }];
}

function snapshotFinding(facts: SnapshotFacts | undefined): Finding {
  if (!facts) {
    const text = 'none are made (--snapshot-budget 0): each start boots a machine';
    return { status: 'warning', text, fix: 'Run the node with a larger --snapshot-budget' };
  }
  const mib = (bytes: number) => Math.round(bytes / MIB);
  const text = `${facts.count} take ${mib(facts.diskBytes)} of ${mib(facts.budgetBytes)} MiB`;
  if (facts.lastFailure === undefined) return { status: 'ok', text };
  const fix = 'Look into the log of the program; if the disk is full, free space or lower --snapshot-budget';
  return { status: 'warning', text: `${text}; the last machine was not saved: ${facts.lastFailure}`, fix };
}

/** What to do where a part of the confinement does not stand; machines run without it until then. */
const CONFINEMENT: Record<keyof CageFindings, { code: string; title: string; fix: string }> = {
  sandbox: {
    code: 'SANDBOX',
    title: 'System call filter of QEMU',
    fix: 'Use a QEMU that is built with seccomp, as that of Debian is',
  },
  namespaces: {
    code: 'NAMESPACES',
    title: 'Namespaces of machines',
    fix: 'Run the node as root on Linux 5.12 or later with gcc installed (apt-get install gcc libc6-dev), or allow users their own namespaces (sysctl user.max_user_namespaces); in a container, give it CAP_SYS_ADMIN',
  },
  users: {
    code: 'MACHINE_USERS',
    title: 'Users of machines',
    fix: 'Run the node as root: it gives each machine a user of its own, and keeps root for itself alone',
  },
  egress: {
    code: 'EGRESS',
    title: 'Networks of machines',
    fix: 'Run the node as root, with pasta and ip (apt-get install passt iproute2); until then, what is installed can reach the host and its networks, as can programs of the operator that use the internet',
  },
  cgroups: {
    code: 'CGROUPS',
    title: 'Limits by cgroup',
    fix: 'Run the node as root, or as a service that has its cgroup to itself (systemd: Delegate=yes)',
  },
};

function confinementChecks(confinement: () => Promise<CageFindings>): Probe[] {
  return (Object.keys(CONFINEMENT) as (keyof CageFindings)[]).map((part) => {
    const { code, title, fix } = CONFINEMENT[part];
    const check = async (): Promise<Finding> => {
      const { stands, text } = (await confinement())[part];
      return stands ? { status: 'ok', text } : { status: 'warning', text: `missing: ${text}`, fix };
    };
    return { code, title, dependsOn: ['TOOLS'], check };
  });
}
