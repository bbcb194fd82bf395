import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { type ensureRuntime, FILESYSTEMS } from '@vmlet/builder';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import type { Output } from '../output.ts';
import { fetchImage, hashOfFile } from './fetch-image.ts';
import { existingAddress } from './owner-key.ts';
import { findNamedRuntime, readRuntimeName } from './runtime-names.ts';

type BaseTree = NonNullable<Parameters<typeof ensureRuntime>[1]['base']>;

const HASH = /^[0-9a-f]{64}$/;

/** Where images are, and who is asked for those that are not here. */
export interface BaseTreesOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  /** The node's API; asked for what is not in the cache only. */
  api: () => Promise<PublicApi>;
  /** One's own address, whose names need no publisher before them. */
  own: () => Promise<string | undefined>;
  output: Output;
  signal: AbortSignal;
}

/** Of a command. */
export function baseTreesOf(context: Context): BaseTree {
  const { paths, output, signal } = context;
  const api = async () => new PublicApi((await locateNode(context)).url);
  return baseTrees({ cache: paths.cache, api, own: () => existingAddress(paths.config), output, signal });
}

/**
 * What recipes extend that name a published runtime: found in the cache of this host or on the node, checked against its
 * hash, and read by a machine of its own. The host never looks into it.
 */
export function baseTrees({ cache, api: openApi, own, output, signal: outer }: BaseTreesOptions): BaseTree {
  return {
    resolve: async (reference, signal = outer) => {
      if (HASH.test(reference) && (await cachedImage(cache, reference)) !== undefined) return reference;
      const api = await openApi();
      if (HASH.test(reference) && (await api.holds(reference, signal))) return reference;
      const name = readRuntimeName(reference);
      if (HASH.test(reference) || name === undefined) return (await api.runtime(reference, signal)).file_hash;
      return (await findNamedRuntime(name, { api, own: await own(), signal })).file_hash;
    },
    open: async (fileHash, signal = outer) => {
      await using stack = new AsyncDisposableStack();
      const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-base-')));
      const at = { folder: folder.path, output, signal };
      const image =
        (await cachedImage(cache, fileHash)) ?? (await fetchImage(fileHash, { ...at, node: (await openApi()).url }));
      const { streamTree } = await import('@vmlet/node/images');
      const tar = streamTree(image, { cache, signal });
      const owned = stack.move();
      // How it ended is told to whoever reads it; here only the fetched image goes.
      void finished(tar, { writable: false })
        .catch(() => {})
        .then(() => owned.disposeAsync());
      return tar;
    },
  };
}

/** An image that was built or kept here, if its bytes are those that its name says. */
async function cachedImage(cache: string, fileHash: string): Promise<string | undefined> {
  const folder = join(cache, 'runtimes');
  const names = await readdir(folder).catch((): string[] => []);
  for (const filesystem of FILESYSTEMS) {
    const path = join(folder, `${fileHash}.${filesystem}`);
    if (names.includes(`${fileHash}.${filesystem}`) && (await hashOfFile(path)) === fileHash) return path;
  }
  return undefined;
}
