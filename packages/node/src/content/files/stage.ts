import type { FileHash } from '@vmlet/messages';
import type { DiskSpace } from '../../disk-space.ts';
import { VmletError } from '../../errors.ts';
import { stageFile } from '../../store/index.ts';
import { canonicalCid } from '../cid.ts';
import { DagHasher } from '../dag/hasher.ts';
import type { StageOptions, VerifiedCid } from '../options.ts';
import type { CidRecord } from './cid-records.ts';
import { type ContentLayout, pathIn } from './layout.ts';

/** Read-only for all: a stored file never changes. */
const MODE = 0o444;

/** The disk is looked at whenever so much more has come. */
const LOOK_BYTES = 16 * 1024 * 1024;

/** Bytes on disk under a temporary name, with their hashes. Disposing of them before they are moved removes them. */
export interface StagedBytes extends AsyncDisposable {
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
  /** To be written once they have their final name. */
  readonly record: CidRecord | undefined;
  /** Gives them their final name, on disk when it resolves. */
  readonly moveTo: (path: string) => Promise<void>;
}

/**
 * Writes bytes to a temporary name while they are hashed, for their CID in the same pass where that is wanted.
 * @throws VmletError `CONTENT_TOO_LARGE`, `CONTENT_HASH_MISMATCH`, `STORAGE_FULL`, `STORAGE_FAILED`; whatever the
 *   source throws; the signal's reason
 */
export async function stageBytes(
  source: AsyncIterable<Uint8Array>,
  options: StageOptions & { layout: ContentLayout; disk: Pick<DiskSpace, 'require'> | undefined },
): Promise<StagedBytes> {
  const { layout, disk, expected, verified, maxBytes, signal } = options;
  const isSha256 = expected !== undefined && pathIn(layout, expected) !== undefined;
  const expectedCid = expected && canonicalCid(expected);
  const hasher = (options.dag || expectedCid !== undefined) && verified === undefined ? new DagHasher() : undefined;
  await using stack = new AsyncDisposableStack();
  const staged = stack.use(
    await stageFile(passing(source, { hasher, disk }), {
      ...{ maxBytes, signal, mode: MODE, temporaryDir: layout.incoming },
      name: isSha256 ? expected : 'upload',
      expected: expectedCid === undefined ? expected : undefined,
    }),
  );
  const { fileHash, sizeBytes } = staged;
  const cid: VerifiedCid | undefined = hasher ? { cid: await hasher.digest(), kind: 'file' } : verified?.();
  if (expectedCid !== undefined && expectedCid !== cid?.cid) {
    throw new VmletError('CONTENT_HASH_MISMATCH', { operands: { found: cid?.cid ?? fileHash, expected: expectedCid } });
  }
  const held = stack.move();
  return {
    fileHash,
    sizeBytes,
    record: cid && { ...cid, fileHash },
    moveTo: async (path) => {
      await staged.commit(path);
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function* passing(
  source: AsyncIterable<Uint8Array>,
  { hasher, disk }: { hasher: DagHasher | undefined; disk: Pick<DiskSpace, 'require'> | undefined },
): AsyncGenerator<Uint8Array> {
  let unlookedBytes = LOOK_BYTES;
  for await (const bytes of source) {
    unlookedBytes += bytes.byteLength;
    if (unlookedBytes >= LOOK_BYTES) {
      await disk?.require(bytes.byteLength);
      unlookedBytes = 0;
    }
    await hasher?.update(bytes);
    yield bytes;
  }
}
