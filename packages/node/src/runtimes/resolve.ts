import { type Manifest, manifestSchema } from '@vmlet/builder';
import type { FileHash, ItemHash } from '@vmlet/messages';
import type { ContentStore } from '../content/index.ts';
import { orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { Ledger, ProgramRecord, StoreRecord } from '../ledger/index.ts';
import { type CodeImages, formOf } from './code-image/image.ts';
import { commandFault } from './image-command.ts';
import { type Launch, launchOf } from './launcher.ts';

/** What a program is made of, as far as messages tell: files by hash, none of them looked at. */
export interface ProgramFacts {
  itemHash: ItemHash;
  runtimeHash: FileHash;
  codeHash: FileHash;
  /** How code of that hash becomes a drive: two programs with equal code in equal form have the same drive. */
  codeForm: string;
  launch: Launch;
  variables: Record<string, string>;
  vcpus: number;
  memoryMiB: number;
  /** How long one request may take, in seconds. */
  seconds: number;
  /** Whether its machine has a way out to the internet: its message asks for one, and the node has one for it. */
  internet: boolean;
  /** Whether it has a host to call: its message asks for one. */
  guestApi: boolean;
  /** Whether its machine may be saved once it is loaded: `metadata.snapshot: false` says no. */
  snapshot: boolean;
}

/** All that a machine needs to run a program, as verified files of this host. */
export interface RunnableProgram extends ProgramFacts {
  runtimeImage: string;
  codeImage: string;
}

export interface ResolveComponents {
  ledger: Pick<Ledger, 'store'>;
  content: Pick<ContentStore, 'verifiedPath'>;
  codeImages: CodeImages;
  /** The STORE that stands in for a runtime that is not here. Where this is left out, none does. */
  aliasOf?: ((ref: string) => ItemHash | undefined) | undefined;
  /** Whether programs of an address that ask for the internet get it here. Where this is left out, none does. */
  mayUseInternet?: ((address: string) => boolean) | undefined;
}

/** More would be taken from the other machines, and each one costs a machine memory before it does anything. */
const MAX_VCPUS = 16;
/** With 64 MiB the kernel ends in a panic, with 96 a launcher reads its own files again and again. In MiB. */
const MIN_MEMORY_MIB = 112;

/**
 * What a PROGRAM message comes to at this moment, by messages alone.
 * @throws VmletError `PROGRAM_UNSUPPORTED`, `RUNTIME_NOT_FOUND`, `CODE_NOT_FOUND`
 */
export function factsOf(
  program: ProgramRecord,
  components: Pick<ResolveComponents, 'ledger' | 'mayUseInternet' | 'aliasOf'>,
): ProgramFacts {
  const { address, code, environment, runtime, resources, variables, metadata } = program.content;
  refuseUnsupported(program);
  const ref = components.aliasOf?.(runtime.ref) ?? runtime.ref;
  const runtimeStore = findStore(components, { ...runtime, ref }, 'RUNTIME_NOT_FOUND');
  const manifest = manifestOf(runtimeStore);
  if (manifest?.init === 'distribution')
    throw unsupported('a runtime with the init of a distribution, for instances only');
  const codeStore = findStore(components, code, 'CODE_NOT_FOUND');
  const fault = commandFault(code, manifest);
  if (fault !== undefined) throw unsupported(fault);
  const launch = launchOf(code, manifest, { variables });
  return {
    itemHash: program.itemHash,
    runtimeHash: runtimeStore.fileHash,
    codeHash: codeStore.fileHash,
    codeForm: formOf(code.encoding, plainOf(launch)),
    launch,
    variables: variables ?? {},
    vcpus: resources.vcpus,
    memoryMiB: resources.memory,
    seconds: resources.seconds,
    internet: environment.internet && components.mayUseInternet?.(address) === true,
    guestApi: environment.aleph_api,
    snapshot: metadata?.snapshot !== false,
  };
}

/**
 * Turns a PROGRAM message into files whose hashes were checked, and the facts to start it with.
 * @throws VmletError `PROGRAM_UNSUPPORTED`, `RUNTIME_NOT_FOUND`, `CODE_NOT_FOUND`, `CODE_REFUSED`, `CONTENT_CORRUPT`
 */
export async function resolveProgram(
  program: ProgramRecord,
  components: ResolveComponents,
  options: { signal: AbortSignal },
): Promise<RunnableProgram> {
  const facts = factsOf(program, components);
  await failpoint('program.resolved');
  const [runtimeImage, codePath] = await Promise.all([
    components.content.verifiedPath(facts.runtimeHash, options),
    components.content.verifiedPath(facts.codeHash, options),
  ]);
  await failpoint('runtime.verified');
  const { encoding } = program.content.code;
  const source = { fileHash: facts.codeHash, encoding, path: codePath, plain: plainOf(facts.launch) };
  // The making itself goes on: another start of the same code may wait for it.
  const codeImage = await orAborted(components.codeImages.ensure(source), options.signal);
  return { ...facts, runtimeImage, codeImage };
}

function plainOf({ kind }: Launch): 'executable' | 'python' {
  return kind === 'exec' ? 'executable' : 'python';
}

/** What a runtime's STORE message says of it; undefined where its publisher says nothing that is understood. */
export function manifestOf(store: StoreRecord): Manifest | undefined {
  return manifestSchema.safeParse(store.content.metadata).data;
}

type Ref = { ref: ItemHash; use_latest: boolean };

function findStore(
  { ledger }: Pick<ResolveComponents, 'ledger'>,
  { ref, use_latest }: Ref,
  code: 'RUNTIME_NOT_FOUND' | 'CODE_NOT_FOUND',
): StoreRecord {
  const store = ledger.store(ref, { latest: use_latest });
  if (!store) throw new VmletError(code, { operands: { ref } });
  return store;
}

/** What a message may ask for and this version cannot do is refused in words, never left out in silence. */
function refuseUnsupported({ content }: ProgramRecord): void {
  const faults = [
    content.on.persistent && 'persistent execution',
    content.resources.vcpus > MAX_VCPUS && `${content.resources.vcpus} vCPUs (at most ${MAX_VCPUS} here)`,
    content.resources.memory < MIN_MEMORY_MIB &&
      `${content.resources.memory} MiB of memory (Linux and a launcher take ${MIN_MEMORY_MIB} at least)`,
    content.volumes.length > 0 && `${content.volumes.length} volumes`,
  ].filter((fault) => fault !== false && fault !== undefined);
  if (faults.length > 0) throw unsupported(faults.join(', '));
}

function unsupported(found: string): VmletError {
  return new VmletError('PROGRAM_UNSUPPORTED', { operands: { found } });
}
