import { ensureBootKit, writeInitFiles as writeFiles } from '@vmlet/guest';
import { openCache } from './store/index.ts';

export interface InitFilesOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  onProgress?: (step: string, detail?: string) => void;
  signal?: AbortSignal | undefined;
}

/** What makes a root filesystem its own init: init0 and the launchers of this version's boot kit. */
export interface InitFiles {
  /** Of the boot kit: other files have another. */
  hash: string;
  /** Writes them below a folder, and gives their paths relative to it. */
  writeTo(folder: string): Promise<string[]>;
}

/** Makes the boot kit if this version's is not in the cache. */
export async function initFiles(options: InitFilesOptions): Promise<InitFiles> {
  const { cache, signal } = options;
  await openCache(cache);
  const kit = await ensureBootKit(options);
  return { hash: kit.hash, writeTo: (folder) => writeFiles(kit, folder, { signal }) };
}
