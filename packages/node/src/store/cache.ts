import { join, resolve } from 'node:path';
import { sweepAbandoned } from '@vmlet/host';
import * as z from 'zod';
import { readMarker, writeMarker } from './marker.ts';
import { makePrivateDir } from './private-dir.ts';

/** The newest layout of a cache that this vmlet knows. */
export const CACHE_FORMAT = 1;

const cacheSchema = z.object({ format: z.literal(CACHE_FORMAT) });

/** Folders in which some part leaves unfinished files when it is killed: kits, images, downloads, probes, installs. */
const WRITTEN_FOLDERS = ['kits', 'runtimes', 'packages', 'probe', 'installs'];

/** A cache: anything in it can be made again, and any number of processes share it. */
export interface Cache {
  readonly dir: string;
  /** Boot kits by hash. */
  readonly kits: string;
  /** Runtime images by file_hash. */
  readonly runtimes: string;
  /** What the acceleration probe found. */
  readonly probe: string;
}

/**
 * Opens the cache, making it if absent, and removes what writers that were killed have left. It is not locked: writers
 * give files their final name in one step.
 *
 * @throws VmletError `FORMAT_NEWER`, `FORMAT_UNREADABLE`, `STORAGE_FULL`, `STORAGE_FAILED`
 */
export async function openCache(path: string): Promise<Cache> {
  const dir = resolve(path);
  await makePrivateDir(dir);
  const marker = join(dir, 'cache.json');
  const options = { schema: cacheSchema, known: CACHE_FORMAT };
  if ((await readMarker(marker, options)) === undefined) {
    await writeMarker(marker, { format: CACHE_FORMAT });
    await readMarker(marker, options);
  }
  for (const folder of WRITTEN_FOLDERS) await sweepAbandoned(join(dir, folder));
  return { dir, kits: join(dir, 'kits'), runtimes: join(dir, 'runtimes'), probe: join(dir, 'probe') };
}
