import { ensureBootKit, writeInitFiles as writeFiles } from '@vmlet/guest';
import { openCache } from './store/index.ts';

const LANGUAGES = ['python', 'node'] as const;

/** What can say which launchers are of use. */
type Interpreters = Readonly<Partial<Record<'python' | 'node', unknown>>>;

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
  /**
   * Writes them below a folder, and gives their paths relative to it.
   * @param interpreters of the root filesystem: launchers for others are left out. All are written where it is absent
   */
  writeTo(folder: string, interpreters?: Interpreters): Promise<string[]>;
}

/** Makes the boot kit if this version's is not in the cache. */
export async function initFiles(options: InitFilesOptions): Promise<InitFiles> {
  const { cache, signal } = options;
  await openCache(cache);
  const kit = await ensureBootKit(options);
  return {
    hash: kit.hash,
    writeTo: (folder, interpreters) => {
      const languages = interpreters && LANGUAGES.filter((language) => interpreters[language] !== undefined);
      return writeFiles(kit, folder, { languages, signal });
    },
  };
}
