import type { ItemHash } from '@vmlet/messages';
import { type Admission, type BlockList, ownerKey } from './admission/index.ts';
import type { ContentStore } from './content/index.ts';
import type { Names, Stops } from './deployments/index.ts';
import { VmletError } from './errors.ts';
import type { ProgramTarget } from './gateway/index.ts';
import type { Ledger, ProgramRecord } from './ledger/index.ts';
import type { PublishedRuntime } from './owner/index.ts';
import { programLabel } from './program-label.ts';
import { type CodeImages, factsOf, manifestOf, type ProgramFacts, resolveProgram } from './runtimes/index.ts';
import type { TriggerTarget } from './triggers/index.ts';
import type { Versions } from './versions.ts';

export interface ProgramsComponents {
  ledger: Pick<Ledger, 'program' | 'programs' | 'store' | 'storesOf' | 'subscribe'>;
  content: Pick<ContentStore, 'verifiedPath'>;
  codeImages: CodeImages;
  admission: Pick<Admission, 'mayRun'>;
  blocks: Pick<BlockList, 'find' | 'subscribe'>;
  names: Pick<Names, 'find'>;
  stops: Pick<Stops, 'refuse'>;
  /** Which version of a program serves. */
  versions: Pick<Versions, 'serving'>;
  /** The STORE that stands in for a runtime that is not here. */
  aliasOf?: ((ref: string) => ItemHash | undefined) | undefined;
  operator: string;
  /** Whether programs of an address that ask for the internet get it here. */
  mayUseInternet?: ((address: string) => boolean) | undefined;
  /** Told of a program that asks for the internet and does not get it, as it is about to start. */
  onNoInternet?: (itemHash: ItemHash) => void;
}

/** A program that may run, as the edges want it. */
type FoundProgram = ProgramTarget & TriggerTarget;

/** Where messages are posted to that a program listens to; `metadata.on_message_path` names another path. */
const ON_MESSAGE_PATH = '/';
/** Printable ASCII, as a request target may have it. */
const PATH = /^\/[!-~]{0,1023}$/;

/** What the edges ask about programs and runtimes; here the network side meets the compute side. */
export function createPrograms(components: ProgramsComponents) {
  const { ledger } = components;
  // Reading a message costs as much as the rest of a hot request's way, and what was signed does not change.
  const targets = new Map<string, FoundProgram>();
  ledger.subscribe((event) => {
    if (event.type === 'forgotten' || event.type === 'removed') targets.delete(event.itemHash);
    // Another runtime may stand in for the one that is named.
    if (event.type === 'updated') targets.clear();
  });
  components.blocks.subscribe(() => targets.clear());
  const findVersion = (itemHash: string): FoundProgram => {
    const known = targets.get(itemHash) ?? target(itemHash, components);
    targets.set(itemHash, known);
    components.stops.refuse(known.itemHash);
    return known;
  };
  return {
    /**
     * By item_hash or by name: the version that serves. It is asked for once a request, which then stays with that. Who
     * stops a program, stops whatever version of it.
     */
    find: (ref: string) => {
      const named = components.names.find(ref)?.itemHash ?? (ref as ItemHash);
      const serving = components.versions.serving(named);
      if (serving !== named) components.stops.refuse(named);
      return findVersion(serving);
    },
    /** By its own item_hash, whatever has replaced it. */
    findVersion,
    /** What each program in force is made of; one of which a part is missing has none. */
    facts: () => ledger.programs().flatMap((program) => factsOrNone(program, components)),
    runtimes: () => publishedRuntimes(ledger, components.operator),
    urlsOf: (at: PublicAddress) => (itemHash: ItemHash) => urls(at, { ref: itemHash, label: programLabel(itemHash) }),
    nameUrlsOf: (at: PublicAddress) => (name: string) => urls(at, { ref: name, label: name }),
  };
}

/** Where a node is reached. */
interface PublicAddress {
  url: string;
  programDomain: string;
  port: number;
}

function urls({ url, programDomain, port }: PublicAddress, { ref, label }: { ref: string; label: string }) {
  return { url: `${url}/vm/${ref}/`, hostUrl: `http://${label}.${programDomain}:${port}/` };
}

/** @throws VmletError `PROGRAM_NOT_FOUND`, `RUN_FORBIDDEN`, `CONTENT_BLOCKED`, `PROGRAM_STOPPED` */
function findRunnable(ref: string, components: ProgramsComponents): ProgramRecord {
  const { ledger, admission, blocks, stops } = components;
  const program = ledger.program(ref);
  if (!program) throw new VmletError('PROGRAM_NOT_FOUND', { operands: { ref: ref.slice(0, 128) } });
  admission.mayRun(program);
  stops.refuse(program.itemHash);
  const what = blocks.find(partsOf(program, components));
  if (what !== undefined) throw new VmletError('CONTENT_BLOCKED', { operands: { what } });
  return program;
}

function factsOrNone(program: ProgramRecord, components: ProgramsComponents): ProgramFacts[] {
  try {
    return [factsOf(program, components)];
  } catch {
    // Whoever asks for it is told why.
    return [];
  }
}

/** All that a block list may name of a program: its owner, itself, and the messages and files it is made of. */
function partsOf(
  { itemHash, content }: ProgramRecord,
  { ledger, aliasOf }: ProgramsComponents,
): (string | undefined)[] {
  const stores = [content.code, content.runtime].flatMap(({ ref, use_latest: latest }) => {
    const alias = ref === content.runtime.ref ? aliasOf?.(ref) : undefined;
    const store = ledger.store(alias ?? ref, { latest });
    return [ref, alias, store?.itemHash, store?.fileHash];
  });
  return [itemHash, content.address, ...stores];
}

/** @throws VmletError `PROGRAM_NOT_FOUND`, `RUN_FORBIDDEN`, `CONTENT_BLOCKED`, `PROGRAM_STOPPED` */
function target(ref: string, components: ProgramsComponents): FoundProgram {
  const program = findRunnable(ref, components);
  const { memory, seconds, vcpus } = program.content.resources;
  const { on, metadata, variables } = program.content;
  const { ref: named } = program.content.runtime;
  const alias = components.aliasOf?.(named);
  const primePath = variables?.VMLET_PRIME_PATH;
  return {
    itemHash: program.itemHash,
    owner: ownerKey(program.content.address),
    vcpus,
    memoryMiB: memory,
    seconds,
    http: on.http,
    onMessagePath: onMessagePath(metadata?.on_message_path),
    neverPaused: on.persistent === true || metadata?.pause === false,
    ...(alias === undefined ? {} : { runtimeAlias: `${named}=${alias}` }),
    ...(primePath?.startsWith('/') ? { primePath } : {}),
    // Looked up anew: it may have been forgotten or stopped, or may no longer run here, while its request was in line.
    prepare: async (signal) => {
      const record = findRunnable(ref, components);
      const resolved = await resolveProgram(record, components, { signal });
      if (record.content.environment.internet && !resolved.internet) components.onNoInternet?.(record.itemHash);
      return resolved;
    },
  };
}

function onMessagePath(named: unknown): string {
  return typeof named === 'string' && PATH.test(named) ? named : ON_MESSAGE_PATH;
}

/** The runtimes that the operator and the owners of programs have published here. */
function publishedRuntimes(ledger: ProgramsComponents['ledger'], operator: string): PublishedRuntime[] {
  const owners = ledger.programs().map((program: ProgramRecord) => program.content.address);
  const addresses = new Set([operator, ...owners]);
  const stores = [...addresses].flatMap((address) => ledger.storesOf(address));
  return stores.flatMap((store) => {
    const manifest = manifestOf(store);
    const { itemHash, fileHash, content } = store;
    return manifest ? [{ itemHash, fileHash, address: content.address, manifest }] : [];
  });
}
