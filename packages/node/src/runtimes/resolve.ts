import { type Manifest, manifestSchema } from '@vmlet/builder';
import type { ItemHash } from '@vmlet/messages';
import type { ContentStore } from '../content/index.ts';
import { orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { Ledger, ProgramRecord, StoreRecord } from '../ledger/index.ts';
import type { CodeImages } from './code-image/image.ts';
import { type Launch, launchOf } from './launcher.ts';

/** All that a machine needs to run a program, as verified files of this host. */
export interface RunnableProgram {
  itemHash: ItemHash;
  runtimeImage: string;
  codeImage: string;
  launch: Launch;
  variables: Record<string, string>;
  vcpus: number;
  memoryMiB: number;
  /** How long one request may take, in seconds. */
  seconds: number;
}

export interface ResolveComponents {
  ledger: Pick<Ledger, 'store'>;
  content: Pick<ContentStore, 'verifiedPath'>;
  codeImages: CodeImages;
}

/** More would be taken from the other machines, and each one costs a machine memory before it does anything. */
const MAX_VCPUS = 16;

/**
 * Turns a PROGRAM message into files whose hashes were checked, and the facts to start it with.
 * @throws VmletError `PROGRAM_UNSUPPORTED`, `RUNTIME_NOT_FOUND`, `CODE_NOT_FOUND`, `CODE_REFUSED`, `CONTENT_CORRUPT`
 */
export async function resolveProgram(
  program: ProgramRecord,
  components: ResolveComponents,
  options: { signal: AbortSignal },
): Promise<RunnableProgram> {
  const { code, runtime, resources, variables } = program.content;
  refuseUnsupported(program);
  const runtimeStore = findStore(components, runtime, 'RUNTIME_NOT_FOUND');
  const manifest = manifestOf(runtimeStore);
  if (manifest?.init === 'distribution')
    throw unsupported('a runtime with the init of a distribution, for instances only');
  const codeStore = findStore(components, code, 'CODE_NOT_FOUND');
  await failpoint('program.resolved');
  const [runtimeImage, codePath] = await Promise.all([
    components.content.verifiedPath(runtimeStore.fileHash, options),
    components.content.verifiedPath(codeStore.fileHash, options),
  ]);
  await failpoint('runtime.verified');
  const { fileHash } = codeStore;
  const launch = launchOf(code, manifest);
  const plain = launch.kind === 'exec' ? 'executable' : 'python';
  const making = components.codeImages.ensure({ fileHash, encoding: code.encoding, path: codePath, plain });
  // The making itself goes on: another start of the same code may wait for it.
  const codeImage = await orAborted(making, options.signal);
  return {
    itemHash: program.itemHash,
    runtimeImage,
    codeImage,
    launch,
    variables: variables ?? {},
    vcpus: resources.vcpus,
    memoryMiB: resources.memory,
    seconds: resources.seconds,
  };
}

/** What a runtime's STORE message says of it; undefined where its publisher says nothing that is understood. */
export function manifestOf(store: StoreRecord): Manifest | undefined {
  return manifestSchema.safeParse(store.content.metadata).data;
}

type Ref = { ref: ItemHash; use_latest: boolean };

function findStore(
  { ledger }: ResolveComponents,
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
    content.volumes.length > 0 && `${content.volumes.length} volumes`,
  ].filter((fault) => fault !== false && fault !== undefined);
  if (faults.length > 0) throw unsupported(faults.join(', '));
}

function unsupported(found: string): VmletError {
  return new VmletError('PROGRAM_UNSUPPORTED', { operands: { found } });
}
