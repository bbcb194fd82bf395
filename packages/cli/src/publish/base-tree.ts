import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BuildOptions, FILESYSTEMS } from '@vmlet/builder';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';
import { fetchImage, hashOfFile } from './fetch-image.ts';
import { existingAddress } from './owner-key.ts';
import { findNamedRuntime, readRuntimeName } from './runtime-names.ts';

const FILE_HASH = /^[0-9a-f]{64}$/;
const ITEM_HASH = /^([0-9a-f]{64}|Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{58})$/;

/** What gives the files of published runtimes. */
export interface BaseTools {
  /** URL of a node that has them; asked for when it is needed. */
  node: () => Promise<string>;
  /** `$VMLET_CACHE`. */
  cache: string;
  /** One's own address, since a name is one's own first. */
  own: () => Promise<string | undefined>;
  output: Output;
  signal: AbortSignal;
}

/**
 * Gives recipes that extend a published runtime its files: this host's cache or the node has the image, and a machine of
 * this process reads it. Nothing is asked of the node, and no machine started, for recipes that extend none.
 */
export function baseTreeOf(context: Context): NonNullable<BuildOptions['base']> {
  const { output, signal, paths } = context;
  const node = async () => (await locateNode(context)).url;
  return treesFrom({ node, cache: paths.cache, own: () => existingAddress(paths.config), output, signal });
}

/** The same, for a node that is known. */
export function treesFrom({ node, cache, own, output, signal: usual }: BaseTools): NonNullable<BuildOptions['base']> {
  const fetched = async (fileHash: string, stack: AsyncDisposableStack, signal: AbortSignal) => {
    const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-base-')));
    return await fetchImage(fileHash, { node: await node(), folder: folder.path, output, signal });
  };
  return {
    async resolve(reference, signal = usual) {
      if ((await cachedImage(cache, reference)) !== undefined) return reference;
      const api = new PublicApi(await node());
      if (FILE_HASH.test(reference) && (await api.holds(reference, signal))) return reference;
      if (ITEM_HASH.test(reference)) return (await api.runtime(reference, signal)).file_hash;
      const name = readRuntimeName(reference);
      if (name === undefined) {
        const operands = {
          runtime: reference,
          found: 'it is no name and no hash',
          known: 'those of `vmlet runtime ls`',
        };
        throw new CliError('RUNTIME_UNKNOWN', { operands });
      }
      const found = await findNamedRuntime(name, { api, own: await own(), signal });
      return (await api.runtime(found.item_hash, signal)).file_hash;
    },
    async open(fileHash, signal = usual) {
      await using stack = new AsyncDisposableStack();
      const onProgress = (step: string, detail?: string) => output.step(step, detail);
      const imagePath = (await cachedImage(cache, fileHash)) ?? (await fetched(fileHash, stack, signal));
      const { streamTree } = await import('@vmlet/node/images');
      const tar = streamTree(imagePath, { cache, onProgress, signal });
      const owned = stack.move();
      // The stream's end is the archive's: nothing may come between. What is left of the folder then, /tmp is there for.
      tar.once('close', () => void owned.disposeAsync().catch(() => {}));
      return tar;
    },
  };
}

/** An image that was built or kept here, by its file_hash, if its bytes are those that it says. */
async function cachedImage(cache: string, fileHash: string): Promise<string | undefined> {
  if (!FILE_HASH.test(fileHash)) return undefined;
  const folder = join(cache, 'runtimes');
  const names = await readdir(folder).catch((): string[] => []);
  for (const filesystem of FILESYSTEMS) {
    const path = join(folder, `${fileHash}.${filesystem}`);
    if (names.includes(`${fileHash}.${filesystem}`) && (await hashOfFile(path)) === fileHash) return path;
  }
  return undefined;
}
