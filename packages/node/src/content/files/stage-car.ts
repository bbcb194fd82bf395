import { open } from 'node:fs/promises';
import type { FileHash } from '@vmlet/messages';
import type { CID } from 'multiformats/cid';
import type { DiskSpace } from '../../disk-space.ts';
import { stageFile } from '../../store/index.ts';
import { canonical } from '../cid.ts';
import { CarIndex } from '../dag/car.ts';
import { refuseCar } from '../dag/refuse-car.ts';
import { UnixFsTree } from '../dag/tree.ts';
import type { StageOptions } from '../options.ts';
import type { ContentLayout } from './layout.ts';
import { type StagedBytes, stageBytes } from './stage.ts';

/** Nobody else reads it. */
const MODE = 0o400;

/**
 * Takes a CAR in: its blocks are hashed as they come and wait on disk, then the tree of its root is read to plain bytes.
 * @throws VmletError as {@link stageBytes}, and `CAR_REFUSED`
 */
export async function stageCar(
  source: AsyncIterable<Uint8Array>,
  options: Omit<StageOptions, 'dag' | 'verified'> & {
    layout: ContentLayout;
    disk: Pick<DiskSpace, 'require'> | undefined;
  },
): Promise<StagedBytes> {
  const { layout, maxBytes, signal } = options;
  const index = new CarIndex();
  await using car = await stageFile(index.learn(source), {
    ...{ maxBytes, signal, temporaryDir: layout.incoming, name: 'car', mode: MODE },
  });
  await using handle = await open(car.path, 'r');
  const getBlock = async (cid: CID) => {
    signal?.throwIfAborted();
    const { offset, length } = index.placeOf(cid) ?? refuseCar(`no block '${cid}'`, 'the whole tree');
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, offset);
    if (bytesRead !== length) refuseCar(`the block '${cid}' cut short on disk`, 'the whole tree');
    return buffer;
  };
  const tree = new UnixFsTree(getBlock, { carBytes: car.sizeBytes });
  const cid = named(index.root);
  const { kind, bytes } = await tree.open(index.root);
  return await stageBytes(bytes, { ...options, verified: () => ({ cid, kind }) });
}

function named(root: CID): FileHash {
  return (
    canonical(root) ?? refuseCar(`the root '${root}'`, 'the CID of a dag-pb block by SHA-256, that messages can name')
  );
}
