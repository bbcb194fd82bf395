import type { FileHash } from '@vmlet/messages';
import type { Admission } from '../admission/index.ts';
import type { RuntimeAliases, RuntimeCatalogue } from '../catalogue/index.ts';
import type { ContentStore } from '../content/index.ts';
import type { DiskSpace } from '../disk-space.ts';
import type { VmletError } from '../errors.ts';
import type { Ledger } from '../ledger/index.ts';
import type { Lists } from '../ledger/query/index.ts';
import type { Facets, LedgerViews } from '../ledger/views/index.ts';
import type { FilePins } from '../pins/index.ts';
import type { PriceTable } from '../pricing/index.ts';
import type { ApiLimits } from './limits.ts';
import type { WebSocketLimits } from './websocket/limits.ts';
import type { MessageSubscription } from './websocket/subscription.ts';

/** What this node takes of whom, beyond what a message says of itself. */
export interface PublishPolicy {
  /** @throws VmletError `PUBLISH_BLOCKED`, `OWNER_PROGRAMS_EXCEEDED`, `OWNER_DISK_EXCEEDED` */
  mayAccept(message: ReturnType<Ledger['check']>): Promise<void>;
  /** Passes if this address may have this file here. @throws VmletError `PUBLISH_BLOCKED`, `OWNER_DISK_EXCEEDED` */
  mayStore(address: string, file: { fileHash: FileHash | undefined; sizeBytes: number }): Promise<void>;
  /** Passes if anybody may have it stored here. @throws VmletError `PUBLISH_BLOCKED` */
  mayKeep(fileHash: FileHash): void;
  /** @throws VmletError `CONTENT_BLOCKED` */
  mayRead(fileHash: FileHash): void;
}

/** What the routes use. */
export interface ApiComponents {
  readonly content: Pick<ContentStore, 'stage' | 'stageCar' | 'put' | 'read' | 'find'>;
  /** Which messages name which files. */
  readonly pins: Pick<FilePins, 'count' | 'totalOf' | 'filesOf'>;
  /** How long a file is kept that no message names, in milliseconds. */
  readonly fileGraceMs: number;
  /** Whether the disk has room for more. */
  readonly disk: Pick<DiskSpace, 'require'>;
  readonly ledger: Pick<
    Ledger,
    'check' | 'accept' | 'get' | 'subscribe' | 'store' | 'storesOf' | 'programs' | 'instances' | 'aggregate'
  >;
  readonly views: Pick<LedgerViews, 'aggregates' | 'aggregateInfo' | 'grantsTo' | 'measurements'>;
  readonly facets: Facets;
  readonly lists: Lists;
  /** Addresses whose measurements of nodes are told. */
  readonly metricsSources: readonly string[];
  readonly admission: Pick<Admission, 'mayPublish' | 'trusts'>;
  readonly policy: PublishPolicy;
  readonly catalogue: Pick<RuntimeCatalogue, 'list' | 'get' | 'resolve' | 'versionsOf' | 'usersOf'>;
  readonly aliases: Pick<RuntimeAliases, 'of' | 'all' | 'leadingTo'>;
  /** The address of the node's owner. */
  readonly operator: string;
  /** By which prices are calculated; nothing is charged. */
  readonly prices: () => PriceTable;
  /** Whether the operator signed a token, a few minutes ago at most. */
  readonly isOperatorToken: (token: string) => boolean;
  /** Of this vmlet, as `/version` answers it. */
  readonly version: string;
  /** Whether the node was told to stop, and answers what still comes. */
  readonly isDraining: () => boolean;
  readonly limits: ApiLimits;
  /** The newest messages in force that match, newest first, as item_hashes. */
  readonly recent: (wanted: MessageSubscription, options: { limit: number }) => readonly string[];
  /** What is left out has the value of `defaultWebSocketLimits`. */
  readonly webSocketLimits?: Partial<WebSocketLimits>;
  /** Told of every answer with a status of 500 or more. */
  readonly onFailure: (failure: { error: VmletError; method: string; url: string }) => void;
}
