import type { Readable } from 'node:stream';
import type { Manifest } from '@vmlet/builder';
import type { ItemHash } from '@vmlet/messages';
import type { BlockList } from '../admission/index.ts';
import type { ContentStore } from '../content/index.ts';
import type { Names, Stops } from '../deployments/index.ts';
import type { Executions, Installed, ProgramLogs, Runnable } from '../executions/index.ts';
import type { Ledger } from '../ledger/index.ts';
import type { CollectionSummary } from '../pins/index.ts';
import type { Check, NodeMetrics } from '../telemetry/index.ts';
import type { SnapshotState, StartFacts, Timelines } from '../timelines/index.ts';

/** What a node says of itself. */
export interface NodeStatus {
  version: string;
  url: string;
  programDomain: string;
  pid: number;
  operator: string;
  backend: 'kvm' | 'tcg';
  uptimeSeconds: number;
  rssMiB: number;
}

/** A runtime that is published here. */
export interface PublishedRuntime {
  itemHash: ItemHash;
  fileHash: string;
  address: string;
  manifest: Manifest;
}

/** A request to install packages inside a runtime. */
export interface InstallCall {
  runtime: string;
  /** Which of them knows what is to be installed. */
  installer: 'pip' | 'npm';
  archive: Readable;
  signal: AbortSignal;
}

/** Where a program is called: below the node's URL, and on a host of its own. */
export interface Urls {
  url: string;
  hostUrl: string;
}

/** A program that listens to messages, and what it has not taken yet. */
export interface OwnedTrigger {
  itemHash: ItemHash;
  on: readonly object[];
  waiting: number;
  dead: number;
}

/** A message that a program has not taken. */
export interface OwnedDelivery {
  id: number;
  program: ItemHash;
  message: ItemHash;
  tries: number;
  createdMs: number;
  failure: string | null;
}

/** What the owner may know and do of messages for programs. A program stands for all its versions. */
export interface OwnedTriggers {
  list: () => readonly OwnedTrigger[];
  deliveries: (
    state: 'waiting' | 'dead',
    options: { program?: ItemHash | undefined; limit: number },
  ) => readonly OwnedDelivery[];
  /** @throws VmletError `TRIGGER_UNKNOWN` */
  retry: (id: number) => void;
  retryAll: (program: ItemHash | undefined) => number;
}

/** What the owner's routes use. */
export interface OwnerComponents {
  ledger: Pick<Ledger, 'programs' | 'program' | 'store'>;
  /** What takes in messages and files of others, in the owner's name. */
  imports: Pick<Ledger, 'check' | 'accept'> & Pick<ContentStore, 'put'>;
  executions: Pick<Executions, 'list' | 'acquire' | 'restart' | 'stop' | 'cool'>;
  names: Names;
  stops: Stops;
  /** A program that may run. @throws VmletError why it may not */
  findProgram: (ref: string) => Runnable;
  logs: ProgramLogs;
  status: () => NodeStatus;
  runtimes: () => PublishedRuntime[];
  urlsOf: (itemHash: ItemHash) => Urls;
  nameUrlsOf: (name: string) => Urls;
  triggers: OwnedTriggers;
  blocks: Pick<BlockList, 'entries' | 'add' | 'remove' | 'reload' | 'find'>;
  doctor: () => Promise<Check[]>;
  timelines: Timelines;
  /** What starts are bounded by here. */
  startLimits: Pick<StartFacts, 'accelerator' | 'maxBoots' | 'memoryBudgetMiB'>;
  /** What is known of a program's own snapshot. */
  snapshotOf: (itemHash: ItemHash) => SnapshotState | undefined;
  /** Removes files that nothing needs; with `dryRun` it only says what would go. */
  collect: (how: { dryRun: boolean }) => Promise<CollectionSummary>;
  metrics: Pick<NodeMetrics, 'metrics'>;
  install: (request: InstallCall) => Promise<Installed>;
}
