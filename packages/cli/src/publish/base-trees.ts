import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BaseTree } from '@vmlet/builder/recipe';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import type { Output } from '../output.ts';
import { fetchImage } from './fetch-image.ts';
import { existingAddress } from './owner-key.ts';
import { findNamedRuntime, readRuntimeName } from './runtime-names.ts';

const ITEM_HASH = /^[0-9a-f]{64}$/;

/** Where published runtimes are had from. Asked when a recipe extends one, and not before. */
export interface BaseSource {
  api(): Promise<PublicApi>;
  /** Whose name a bare name is; undefined for who has no key. */
  own(): Promise<string | undefined>;
  /** `$VMLET_CACHE`. */
  cache: string;
  output: Output;
  signal: AbortSignal;
}

/** Published runtimes of the node that a command talks to. */
export function baseTrees(context: Context): BaseTree {
  const { output, paths, signal } = context;
  return baseTreesOf({
    api: async () => new PublicApi((await locateNode(context)).url),
    own: () => existingAddress(paths.config),
    ...{ cache: paths.cache, output, signal },
  });
}

/** Published runtimes, found on a node by their names, fetched by their hashes, and read by a machine of this process. */
export function baseTreesOf({ api, own, cache, output, signal }: BaseSource): BaseTree {
  return {
    resolve: async (reference) => {
      const node = await api();
      const name = ITEM_HASH.test(reference) ? undefined : readRuntimeName(reference);
      if (name === undefined) return (await node.runtime(reference, signal)).file_hash;
      return (await findNamedRuntime(name, { api: node, own: await own(), signal })).file_hash;
    },
    open: async (fileHash) => {
      const { url } = await api();
      await using stack = new AsyncDisposableStack();
      const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-base-')));
      const image = await fetchImage(fileHash, { node: url, folder: folder.path, output, signal });
      const { streamTree } = await import('@vmlet/node/images');
      const onProgress = (step: string, detail?: string) => output.step(step, detail);
      const tree = streamTree(image, { cache, onProgress, signal });
      const held = stack.move();
      // A folder that cannot be removed is the system's to remove, as all in its place of temporary files.
      tree.once('close', () => void held.disposeAsync().catch(() => {}));
      return tree;
    },
  };
}
