import type { Admission } from '../admission/index.ts';
import type { ContentStore } from '../content/index.ts';
import type { VmletError } from '../errors.ts';
import type { Ledger } from '../ledger/index.ts';
import type { ApiLimits } from './limits.ts';

/** What the routes use. */
export interface ApiComponents {
  readonly content: Pick<ContentStore, 'stage' | 'put' | 'read' | 'sizeOf'>;
  readonly ledger: Pick<Ledger, 'check' | 'accept' | 'get' | 'subscribe'>;
  readonly admission: Pick<Admission, 'mayPublish' | 'trusts'>;
  /** Of this vmlet, as `/version` answers it. */
  readonly version: string;
  readonly limits: ApiLimits;
  /** Told of every answer with a status of 500 or more. */
  readonly onFailure: (failure: { error: VmletError; method: string; url: string }) => void;
}
