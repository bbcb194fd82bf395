interface InitFilesOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  onProgress?: (step: string, detail?: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * What a builder asks for the init of an image: only a recipe that says `init: image` does, and only then is the node's
 * code loaded and the boot kit made.
 */
export function initFilesOf(options: InitFilesOptions) {
  return async () => (await import('@vmlet/node')).initFiles(options);
}
