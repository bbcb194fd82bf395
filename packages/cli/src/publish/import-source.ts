import { basename } from 'node:path';
import { buildImport, type ImportedRuntime, isSource, parseSource } from '@vmlet/builder/import';
import type { Recipe } from '@vmlet/builder/recipe';
import type { Output } from '../output.ts';
import { cleanLine } from '../terminal-text.ts';

/** What may be told of a runtime that comes from another world. */
export interface ImportSettings {
  /** `NAME` or `NAME@VERSION`; by its source where it is not told. */
  name?: string | undefined;
  filesystem?: Recipe['filesystem']['format'] | undefined;
}

interface ImportTools {
  output: Output;
  /** `$VMLET_CACHE`. */
  cache: string;
  cwd: string;
  signal: AbortSignal;
}

/** How large an image may become: as large as a recipe may ask for. In MiB. */
const MAX_IMAGE_MIB = 4096;
/** Endings of archives, which are no part of a name. */
const ENDINGS = /(\.(tar|tgz|txz|tzst|gz|xz|zst|oci|docker|rootfs))+$/i;
/** What filesystems are compressed with that can be, as in recipes. */
const COMPRESSION = { erofs: 'lz4hc', squashfs: 'zstd', ext4: undefined, btrfs: undefined } as const;

/** Whether a text names a root filesystem of another world, such as `oci:./image.tar`. */
export { isSource };

/**
 * Builds the runtime of an OCI layout, an archive of Docker, a tar or a folder, or takes it from the cache; says what
 * could not come along.
 * @throws ImportError, BoxUnavailable, CommandFailed
 */
export async function importSource(
  text: string,
  settings: ImportSettings,
  { output, cache, cwd, signal }: ImportTools,
): Promise<ImportedRuntime> {
  const source = await parseSource(text, cwd);
  const { name, version } = identityOf(settings.name ?? nameOfSource(text));
  const { filesystem: format = 'erofs' } = settings;
  const compression = COMPRESSION[format];
  const built = await buildImport(source, {
    ...{ cache, name, version, signal },
    filesystem: { format, maxSizeMiB: MAX_IMAGE_MIB, ...(compression === undefined ? {} : { compression }) },
    onProgress: (step, detail) => output.step(step, detail),
  });
  for (const note of built.notes) output.note(cleanLine(note));
  return built;
}

/** The same source with an absolute path. @throws ImportError for one that is not there */
export async function absoluteSource(text: string, cwd: string): Promise<string> {
  const { kind, path, tag } = await parseSource(text, cwd);
  return `${kind}:${path}${tag === undefined ? '' : `:${tag}`}`;
}

/** What a runtime is called that nobody named: by its path, or its tag where that is all there is. */
export function nameOfSource(text: string): string {
  const [, path = ''] = /^[a-z]+:(.*?)(:[^:/]*)?$/.exec(text) ?? [];
  const name = basename(path)
    .replace(ENDINGS, '')
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
    .slice(0, 63);
  return name === '' ? 'imported' : name;
}

function identityOf(name: string): { name: string; version: string } {
  const at = name.lastIndexOf('@');
  return at > 0 ? { name: name.slice(0, at), version: name.slice(at + 1) } : { name, version: '1' };
}
