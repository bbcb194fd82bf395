import { type Manifest, manifestSchema } from '@vmlet/builder';
import type { ItemHash } from '@vmlet/messages';
import { itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import * as z from 'zod';
import type { Ledger, StoreRecord } from '../ledger/index.ts';
import { type CatalogueDatabase, RuntimeIndex, type RuntimeQuery } from './runtime-index.ts';

/** Key of a publisher's AGGREGATE: `NAME` and `NAME@VERSION`, each with the STORE that it leads to. */
const NAMES_KEY = 'runtimes';
/** Of programs that use a runtime, as many are named. */
const MAX_USERS = 100;
/** Of one runtime, as many versions are named. */
const MAX_VERSIONS = 100;

const namedSchema = z.object({ item_hash: itemHashSchema });

/** A runtime in force. */
export interface PublishedRuntime {
  readonly itemHash: ItemHash;
  readonly fileHash: string;
  readonly sizeBytes: number;
  /** Of its publisher. */
  readonly address: string;
  /** `content.time`, in seconds. */
  readonly time: number;
  /** The STORE that it is a newer version of. */
  readonly updates: ItemHash | undefined;
  /** Which of `NAME` and `NAME@VERSION`, of its manifest, its publisher leads to it. */
  readonly names: readonly string[];
  readonly manifest: Manifest;
}

/** What is known of the use of a runtime. */
export interface RuntimeUse {
  readonly count: number;
  /** The first of them. */
  readonly programs: readonly { itemHash: string; address: string }[];
}

export interface CatalogueComponents {
  ledger: Pick<Ledger, 'store'>;
  database: CatalogueDatabase;
}

/** The runtimes that are published here, whoever published them. */
export class RuntimeCatalogue {
  readonly #ledger: CatalogueComponents['ledger'];
  readonly #index: RuntimeIndex;

  constructor({ ledger, database }: CatalogueComponents) {
    this.#ledger = ledger;
    this.#index = new RuntimeIndex(database);
  }

  /** The newest first; `total` counts those that fit, also beyond the page. */
  list(query: RuntimeQuery): { runtimes: PublishedRuntime[]; total: number } {
    const { hashes, total } = this.#index.find(query);
    return { runtimes: hashes.flatMap((hash) => this.get(hash) ?? []), total };
  }

  /** A runtime by its item_hash. */
  get(itemHash: string): PublishedRuntime | undefined {
    const store = this.#ledger.store(itemHash);
    const manifest = store && manifestOf(store);
    if (store === undefined || manifest === undefined) return undefined;
    const { address, time, ref } = store.content;
    const names = [manifest.name, `${manifest.name}@${manifest.version}`];
    return {
      ...{ itemHash: store.itemHash, fileHash: store.fileHash, sizeBytes: store.sizeBytes, address, time, manifest },
      updates: itemHashSchema.safeParse(ref).data,
      names: names.filter((name) => this.#leadsTo(address, name) === store.itemHash),
    };
  }

  /** The runtime that a publisher calls so. A name leads to what is its publisher's own, and to nothing else. */
  resolve(address: string, name: string): PublishedRuntime | undefined {
    const itemHash = this.#leadsTo(address, name);
    const found = itemHash && this.get(itemHash);
    return found !== undefined && sameAddress(found.address, address) ? found : undefined;
  }

  /** The runtime that one is a version of, and all its other versions, the newest first. */
  versionsOf(runtime: PublishedRuntime): PublishedRuntime[] {
    const original = runtime.updates ?? runtime.itemHash;
    const query = { addresses: [runtime.address], names: [runtime.manifest.name], limit: MAX_VERSIONS, offset: 0 };
    return this.list(query).runtimes.filter((one) => one.itemHash === original || one.updates === original);
  }

  /** The programs that name a runtime. */
  usersOf(itemHash: string): RuntimeUse {
    const users = this.#index.usersOf(itemHash);
    return { count: users.length, programs: users.slice(0, MAX_USERS) };
  }

  /** One member is read: nobody knows how many a publisher has. */
  #leadsTo(address: string, name: string): ItemHash | undefined {
    const value = this.#index.memberOf({ address, key: NAMES_KEY, name });
    return namedSchema.safeParse(value).data?.item_hash;
  }
}

function manifestOf({ content }: StoreRecord): Manifest | undefined {
  return manifestSchema.safeParse(content.metadata).data;
}
