import { Readable } from 'node:stream';
import type { Box } from '../box/index.ts';
import { explainFullDisk } from '../disk-full.ts';
import type { ImageConfig } from '../manifest.ts';
import { ImportError } from './errors.ts';
import { type Folded, foldedTar, type LeftOut, readLayers } from './fold.ts';
import type { OpenedSource } from './open-source.ts';

/** Folder of the box's work folder that becomes the root filesystem. */
export const TREE = 'root';
/** Written to by every machine at its start. */
const NEEDED_FOLDERS = ['etc'];

export interface ImportOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((step: string, detail?: string) => void) | undefined;
}

/** A tree that stands in a box. */
export interface ImportResult {
  config: ImageConfig;
  /** `sha256:` and what the source is known by. */
  digest: string;
  /** No file is newer, in seconds since 1970. */
  newestMtime: number;
  /** Where a path leads in the tree, without a slash at its beginning; undefined for what is no file. */
  find(path: string): string | undefined;
  /** What could not come along, in words. */
  notes: string[];
}

/** Reads all of a source, but writes nothing. @throws ImportError */
export async function readTree(source: OpenedSource, options: ImportOptions): Promise<Folded> {
  const step = 'Reading the image';
  options.onProgress?.(step);
  await source.check();
  const onProgress = (detail: string) => options.onProgress?.(step, detail);
  return await readLayers(source.layers, { whiteouts: source.whiteouts, signal: options.signal, onProgress });
}

/**
 * Fills `root` in a box with a source's tree. What is unpacked there, by the machine's tar, is one archive that was made
 * here of what was read: its names are inside, none twice, and none below a link.
 * @throws ImportError, CommandFailed
 */
export async function importTree(
  box: Box,
  { source, folded }: { source: OpenedSource; folded: Folded },
  options: ImportOptions,
): Promise<ImportResult> {
  const { signal } = options;
  const step = 'Unpacking the image';
  options.onProgress?.(step);
  for (const name of NEEDED_FOLDERS) folded.tree.ensureFolder(name);
  const leftOut: LeftOut = { devices: 0, attributes: 0, owners: 0 };
  const onProgress = (detail: string) => options.onProgress?.(step, detail);
  const tar = foldedTar(folded, {
    ...{ layers: source.layers, leftOut },
    options: { whiteouts: source.whiteouts, signal, onProgress },
  });
  await box.run(['mkdir', TREE], { signal });
  await extract(box, Readable.from(tar), signal);
  return {
    config: source.config,
    digest: source.digest ?? folded.diffIds.join(),
    newestMtime: folded.newestMtime,
    find: (path) => folded.tree.find(path),
    notes: notesOf(leftOut),
  };
}

async function extract(box: Box, input: Readable, signal: AbortSignal | undefined): Promise<void> {
  const owners = ['--same-owner', '--numeric-owner', '--same-permissions', '--xattrs', '--xattrs-include=*'];
  const order = ['--delay-directory-restore', '--absolute-names', '--warning=no-timestamp'];
  let failure: unknown;
  input.once('error', (error) => {
    failure = error;
  });
  try {
    await box.run(['tar', '--extract', '--directory', TREE, ...owners, ...order], { input, signal });
  } catch (cause) {
    // What the archive itself is refused for comes first: tar only sees that its input ends.
    if (failure instanceof ImportError) throw failure;
    throw await explainFullDisk(cause, box.work);
  }
}

function notesOf({ devices, attributes, owners }: LeftOut): string[] {
  const count = (many: number, what: string) => `${many} ${what}${many === 1 ? '' : 's'}`;
  return [
    devices > 0 && `${count(devices, 'device file')} left out: a machine makes its own`,
    attributes > 0 && `${count(attributes, 'extended attribute')} left out that only count where the image came from`,
    owners > 0 && `${count(owners, 'file')} of an owner above 65535 given to nobody (65534)`,
  ].filter((note) => note !== false);
}
