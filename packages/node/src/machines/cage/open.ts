import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@vmlet/host';
import { type CgroupsFound, openCgroups } from '../cgroup/index.ts';
import { loadPassing, type Passing } from '../late/passing.ts';
import { openEgress, RESOLVER_ADDRESS, sweepEgress } from '../network/egress.ts';
import { QEMU_SANDBOX } from '../qemu/sandbox.ts';
import { Cage, type CageParts } from './cage.ts';
import type { Finding } from './findings.ts';
import { ensureHelper, ensurePassLibrary } from './helper.ts';
import { findHostFiles, type HostFiles } from './host-files.ts';
import { takeUidBlock, type UidBlock, type UidRange } from './uids.ts';

const KVM_DEVICE = '/dev/kvm';
/** Read and write, in a file's mode. */
const GROUP_MAY_USE = 0o060;
const ALL_MAY_USE = 0o006;
/** What a QEMU may have that only shows that it starts, in MiB. */
const TRIAL_MEMORY_MIB = 256;

export interface CageOptions {
  /** Of the node's machines, such as `vmlet-1a2b3c4d`. */
  name: string;
  /** Of the home, which decides on the user ids that are tried first. */
  homeId: string;
  /** `$VMLET_CACHE`. */
  cache: string;
  uids?: UidRange | undefined;
  signal: AbortSignal;
}

/**
 * Finds out what confines machines on this host by starting QEMU under each part of a cage: nothing is guessed from
 * versions or settings. What does not work is left out, and told by the findings.
 * @throws VmletError `QEMU_NOT_STARTED` if QEMU, or what starts it, is not installed
 */
export async function openCage(options: CageOptions): Promise<Cage> {
  await using stack = new AsyncDisposableStack();
  const host = await findHostFiles(options.signal);
  const helper = await ensureHelper(options.cache, options.signal);
  const uids = await openUids(options);
  if (uids.block) stack.use(uids.block);
  const cgroups = await openCgroups(options.name);
  if (cgroups.tree) stack.use(cgroups.tree);
  const networks = join(options.cache, 'cage', 'networks');
  await mkdir(networks, { recursive: true });
  await sweepEgress(networks, `${options.name}-`);
  const passing = loadPassing(await ensurePassLibrary(options.cache, options.signal));
  const parts = await partsThatWork({ ...options, made: { host, helper }, passing, uids, cgroups });
  stack.move();
  return new Cage(parts);
}

type Uids = { block: UidBlock } | { block?: undefined; why: string };

async function openUids({ homeId, uids }: CageOptions): Promise<Uids> {
  if (process.getuid?.() !== 0) return { why: 'only root can give machines users of their own' };
  try {
    return { block: await takeUidBlock(homeId, uids) };
  } catch (error) {
    return { why: wordsOf(error) };
  }
}

interface Found {
  made: { helper: string; host: HostFiles };
  passing: Passing;
  uids: Uids;
  cgroups: CgroupsFound;
  name: string;
  cache: string;
}

async function partsThatWork({ made, passing, uids, cgroups, name, cache }: Found): Promise<CageParts> {
  const nothing: Omit<CageParts, 'findings'> = {
    ...{ made, passing },
    ...{ namespaces: false, sandbox: false, uids: undefined, cgroups: undefined, egress: undefined, kvm: '' },
  };
  const [sandbox, users, limited] = await Promise.all([
    tryOut({ ...nothing, sandbox: true }),
    uids.block ? tryOut({ ...nothing, uids: uids.block }) : uids.why,
    cgroups.tree ? tryOut({ ...nothing, cgroups: cgroups.tree }) : cgroups.why,
  ]);
  const parts = {
    ...nothing,
    sandbox: sandbox === undefined,
    uids: users === undefined ? uids.block : undefined,
    cgroups: limited === undefined ? cgroups.tree : undefined,
  };
  // Last, since it is made with all the others.
  const namespaces = await tryOut({ ...parts, namespaces: true });
  const egress = namespaces ?? (await tryEgress(join(cache, 'cage/networks', `${name}-trial`)));
  const findings = {
    sandbox: finding(sandbox, 'QEMU filters its own system calls, with every deny'),
    namespaces: finding(namespaces, 'machines see no file, process or network of the host'),
    users: finding(users, `machines have users of their own, from ${uids.block?.first} on`),
    egress: finding(egress, 'machines with a way out reach the internet, and neither the host nor private networks'),
    cgroups: finding(limited, `machines have limits by cgroup ${cgroups.tree?.version}`),
  };
  return {
    ...parts,
    namespaces: namespaces === undefined,
    egress: egress === undefined ? await egressFiles(cache) : undefined,
    kvm: await kvmFor(parts.uids),
    findings,
  };
}

function finding(failure: string | undefined, words: string): Finding {
  return failure === undefined ? { stands: true, text: words } : { stands: false, text: failure };
}

/** What machines find as /etc/resolv.conf is not the host's, which would lead them to addresses that they do not reach. */
async function egressFiles(cache: string): Promise<NonNullable<CageParts['egress']>> {
  const folder = join(cache, 'cage');
  const resolver = join(folder, 'resolv.conf');
  await writeFileAtomic(resolver, `nameserver ${RESOLVER_ADDRESS}\n`);
  return { resolver, networks: join(folder, 'networks') };
}

async function tryEgress(path: string): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root can make networks for machines';
  try {
    await (await openEgress(path))[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    return wordsOf(error);
  }
}

/** Starts QEMU far enough to have its filter on. Undefined if it does, else what it said. */
async function tryOut(parts: Omit<CageParts, 'findings'>): Promise<string | undefined> {
  const none = { stands: false, text: 'being tried' };
  const cage = new Cage({
    ...parts,
    findings: { sandbox: none, namespaces: none, users: none, cgroups: none, egress: none },
  });
  try {
    const trial = await cage.start({
      id: `trial-${process.pid}`,
      ...{ memoryMiB: TRIAL_MEMORY_MIB, cpus: 1, sockets: 0, files: [], images: [], kvm: false, internet: undefined },
      command: () => [parts.made?.host.qemu ?? '', ...(parts.sandbox ? QEMU_SANDBOX : []), '-accel', 'help'],
    });
    const { code, signal, stderr } = await trial.exited;
    return code === 0 ? undefined : stderr || `ended with ${signal ?? `exit code ${code}`}`;
  } catch (error) {
    return wordsOf(error);
  }
}

/** The device and the group by which machines use it, or why a machine's own user may not. */
async function kvmFor(uids: UidBlock | undefined): Promise<CageParts['kvm']> {
  const device = await stat(KVM_DEVICE).catch(() => undefined);
  if (!device || !uids || (device.mode & ALL_MAY_USE) === ALL_MAY_USE) return { path: KVM_DEVICE };
  // Group 0 is not given to a machine: too much else belongs to it.
  if ((device.mode & GROUP_MAY_USE) === GROUP_MAY_USE && device.gid !== 0) return { path: KVM_DEVICE, gid: device.gid };
  return 'only root may open /dev/kvm, and machines are not root; to change that: chgrp kvm /dev/kvm; chmod 660 /dev/kvm';
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
