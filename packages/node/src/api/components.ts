import type { FileHash } from '@vmlet/messages';
import type { Admission } from '../admission/index.ts';
import type { ContentStore } from '../content/index.ts';
import type { VmletError } from '../errors.ts';
import type { Ledger } from '../ledger/index.ts';
import type { DiskSpace } from '../store/index.ts';
import type { ApiLimits } from './limits.ts';

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
  readonly content: Pick<ContentStore, 'stage' | 'put' | 'read' | 'find'>;
  /** Whether the disk has room for more. */
  readonly disk: Pick<DiskSpace, 'require'>;
  readonly ledger: Pick<Ledger, 'check' | 'accept' | 'get' | 'subscribe'>;
  readonly admission: Pick<Admission, 'mayPublish' | 'trusts'>;
  readonly policy: PublishPolicy;
  /** Of this vmlet, as `/version` answers it. */
  readonly version: string;
  readonly limits: ApiLimits;
  /** Told of every answer with a status of 500 or more. */
  readonly onFailure: (failure: { error: VmletError; method: string; url: string }) => void;
}
