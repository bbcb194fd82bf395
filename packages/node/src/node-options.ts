import { availableParallelism, totalmem } from 'node:os';
import { sameAddress } from '@vmlet/messages/schema';
import type { Allowed, OwnerCaps } from './admission/index.ts';
import type { ExecutionsConfig } from './executions/index.ts';
import type { GatewayLimits } from './gateway/index.ts';
import type { UidRange } from './machines/cage/index.ts';
import type { Backend } from './machines/index.ts';
import type { RetryConfig } from './triggers/index.ts';

const MIB = 1024 * 1024;

/** By who brings a file: nobody that is known, an address, one that is listed; and by its form, for addresses. */
export interface UploadLimitsBytes {
  readonly unsigned?: number;
  readonly signed?: number;
  readonly trusted?: number;
  readonly ipfs?: number;
  readonly car?: number;
}

/** How a node is run. Folders are made where they are missing. */
export interface NodeOptions {
  /** `$VMLET_HOME`: the node's state; one node at a time. */
  home: string;
  /** `$VMLET_CACHE`: what can be built again; shared. */
  cache: string;
  /** Folder of the operator's key. */
  config: string;
  /** Port 0 picks a free one. */
  listen: { host: string; port: number };
  /** Who may publish and run here, besides the operator. */
  allow: Allowed;
  /** Programs are served below this host name, and nothing else is. */
  programDomain?: string;
  /** Other host names under which the API may be asked. */
  apiHosts?: readonly string[];
  /** Believe the forwarding headers of a proxy in front of the node. */
  trustForwarded?: boolean;
  /** Level of the log on stderr, as pino names them. */
  logLevel?: string;
  /** A machine that nobody asks for this long is halted. In milliseconds. */
  idleMs?: number;
  /** A machine that nobody asks for this long has its processors stopped, until it is asked. In milliseconds. */
  pauseAfterMs?: number;
  /** What all machines together may have. */
  memoryBudgetMiB?: number;
  /** What of it machines may have that are restored ahead; 0 for none. */
  spareBudgetMiB?: number;
  /** Starts that may wait for memory. */
  maxWaiting?: number;
  /** What snapshots of machines may take on disk; with 0 none is made, and each start boots. */
  snapshotBudgetMiB?: number;
  /** Requests that may wait for one program beyond those its machine works on. */
  maxQueued?: number;
  /** Requests that one machine works on at the same time. */
  maxInFlight?: number;
  /** How long a machine may take until its launcher is up. In milliseconds. */
  bootDeadlineMs?: number;
  /** How long a program may take until it listens. In milliseconds. */
  loadDeadlineMs?: number;
  /** Do not start where a part of the machines' confinement is missing. */
  requireConfinement?: boolean;
  /** Machines that use the internet may also reach private networks; the host itself they never reach. */
  allowPrivateNetwork?: boolean;
  /**
   * Whose programs get a way out to the internet, if their messages ask for it; by default those of all who may run
   * programs here, where machines with one are confined, and the operator's elsewhere.
   */
  internet?: 'any' | 'own' | 'none';
  /** User ids that machines get, where the node is root. */
  machineUids?: UidRange;
  /** What each owner but the operator may take; what is left out has its default. */
  ownerCaps?: Partial<OwnerCaps>;
  /** File of addresses and hashes that this node has nothing to do with; by default `block-list` in the home. */
  blockList?: string;
  /** How long a file is kept that nothing needs; by default 24 hours. In milliseconds. */
  fileGraceMs?: number | undefined;
  /** With less than this free on the home's disk nothing new is taken; by default 1 GiB, or 5 % of a smaller disk. */
  minFreeDiskBytes?: number;
  /** How large an uploaded file may be, in bytes; what is left out has the network's value. */
  uploadLimitsBytes?: UploadLimitsBytes;
  /** Bounds on what clients may hold. */
  gatewayLimits?: Partial<GatewayLimits>;
  /** How messages are tried again that programs did not take. */
  triggerRetries?: RetryConfig;
  /** How long a node that is told to stop says so at `/readyz` and still takes requests. In milliseconds. */
  drainDelayMs?: number;
  onProgress?: (step: string, detail?: string) => void;
  signal?: AbortSignal;
}

/** About a hundred programs; those that were started longest ago go for others. In MiB. */
export const SNAPSHOT_BUDGET_MIB = 8192;

/** Whose programs get the internet, if they ask. Where it is not confined, a way out leads to the host too. */
export function internetFor(
  { internet = 'any' }: Pick<NodeOptions, 'internet'>,
  { operator, isConfined }: { operator: string; isConfined: boolean },
): (address: string) => boolean {
  const isOwn = (address: string) => sameAddress(address, operator);
  if (internet === 'none') return () => false;
  return internet === 'own' || !isConfined ? isOwn : () => true;
}

/** Starts are some twenty times slower under emulation, and share the host with each other. */
const BOOT_DEADLINE_MS: Record<Backend['accelerator'], number> = { kvm: 20_000, tcg: 90_000 };
const LOAD_DEADLINE_MS: Record<Backend['accelerator'], number> = { kvm: 30_000, tcg: 90_000 };

/** The executions' limits, where the options do not give them. */
export function executionsConfig(options: NodeOptions, accelerator: Backend['accelerator']): ExecutionsConfig {
  const memoryBudgetMiB = options.memoryBudgetMiB ?? Math.floor((totalmem() / MIB) * 0.6);
  return {
    maxInFlight: options.maxInFlight ?? 64,
    maxQueued: options.maxQueued ?? 256,
    pauseAfterMs: options.pauseAfterMs ?? 500,
    idleMs: options.idleMs ?? 5 * 60_000,
    graceMs: 10_000,
    bootDeadlineMs: options.bootDeadlineMs ?? BOOT_DEADLINE_MS[accelerator],
    loadDeadlineMs: options.loadDeadlineMs ?? LOAD_DEADLINE_MS[accelerator],
    maxBoots: availableParallelism(),
    memoryBudgetMiB,
    spareBudgetMiB: options.spareBudgetMiB ?? Math.floor(memoryBudgetMiB / 8),
    maxWaiting: options.maxWaiting ?? 512,
    memoryWaitMs: 60_000,
  };
}

/** The API's limits of uploads. Where only the operator publishes, nobody else fills the disk unless it is said. */
export function uploadLimitsOf({ allow, uploadLimitsBytes = {} }: Pick<NodeOptions, 'allow' | 'uploadLimitsBytes'>) {
  const { unsigned = allow === 'own' ? 0 : undefined, signed, trusted, ipfs, car } = uploadLimitsBytes;
  const limits = {
    unsignedFileBytes: unsigned,
    signedFileBytes: signed,
    trustedFileBytes: trusted,
    signedIpfsBytes: ipfs,
    carBytes: car,
  };
  const given = Object.entries(limits).filter(([, bytes]) => bytes !== undefined);
  return Object.fromEntries(given) as Partial<Record<keyof typeof limits, number>>;
}
