import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { Header, Pack } from 'tar-stream';
import { type Entry, fromRandomAccessReaderPromise, type ZipFile } from 'yauzl';
import { BoundedReader } from './bounded-reader.ts';
import type { UnpackLimits } from './limits.ts';
import { ArchiveTree, refuse } from './tree.ts';

/** File type bits of a Unix mode, as zip keeps them in the upper half of an entry's external attributes. */
const S_IFMT = 0o170000;
const S_IFLNK = 0o120000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
/** Of a file in a zip that knows no Unix modes: whichever of its scripts is meant to be run can be. */
const MODELESS = 0o755;
const MAX_LINK_BYTES = 1024;

/**
 * Turns a zip into a tar, entry by entry: only checked paths, folders, plain files and inner links come through, with
 * no owner but root. Nothing is written to the host's disk.
 * @throws VmletError `CODE_REFUSED`
 */
export async function zipToTar(path: string, tar: Pack, options: { limits: UnpackLimits; packedBytes: number }) {
  await using file = await open(path, 'r');
  const zip = await openZip(file);
  try {
    const tree = new ArchiveTree(options.limits);
    for await (const entry of zip.eachEntry())
      await addEntry({ zip, tar, tree, packedBytes: options.packedBytes }, entry);
    tar.finalize();
  } catch (error) {
    // yauzl's and zlib's own words for damaged archives are good; anything else passes as it is.
    if (isDamage(error)) refuse(error.message, 'an undamaged zip', error);
    throw error;
  } finally {
    zip.close();
  }
}

/** Whether an error only says that the reader of the tar has gone. */
export function isCut(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? error.code : undefined;
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ABORT_ERR' || /\bdestroyed\b/.test(error.message);
}

function isDamage(error: unknown): error is Error {
  if (!(error instanceof Error) || error.name !== 'Error' || isCut(error)) return false;
  return !('code' in error) || String(error.code).startsWith('Z_');
}

type TarHeader = Partial<Header> & { name: string };

interface Conversion {
  zip: ZipFile;
  tar: Pack;
  tree: ArchiveTree;
  packedBytes: number;
}

async function openZip(file: FileHandle): Promise<ZipFile> {
  const { size } = await file.stat();
  try {
    return await fromRandomAccessReaderPromise(new BoundedReader(file, size), size, {
      autoClose: false,
      strictFileNames: true,
      validateEntrySizes: true,
    });
  } catch (cause) {
    return refuse(cause instanceof Error ? cause.message : String(cause), 'a zip archive', cause);
  }
}

async function addEntry(conversion: Conversion, entry: Entry): Promise<void> {
  const { tree, packedBytes } = conversion;
  const mode = entry.externalFileAttributes >>> 16;
  const type = mode & S_IFMT;
  if (entry.isEncrypted()) refuse(`the encrypted entry "${entry.fileName}"`, 'no encryption');
  if (entry.fileName.endsWith('/') || type === S_IFDIR) {
    await place(conversion, 'directory', entry, async (name) => ({ name, type: 'directory', mode: 0o755 }));
  } else if (type === S_IFLNK) {
    await place(conversion, 'link', entry, (name) => linkHeader(conversion, entry, name));
  } else if (type === 0 || type === S_IFREG) {
    tree.count(entry.uncompressedSize, packedBytes);
    await place(conversion, 'file', entry, async (name) => {
      return { name, type: 'file', size: entry.uncompressedSize, mode: mode & 0o777 || MODELESS };
    });
  } else {
    refuse(`"${entry.fileName}" of file type ${type.toString(8)}`, 'files, folders and links');
  }
}

/** Puts an entry into the tar, after the folders above it that the archive does not name. */
async function place(
  { zip, tar, tree }: Conversion,
  kind: 'file' | 'directory' | 'link',
  entry: Entry,
  header: (path: string) => Promise<TarHeader>,
): Promise<void> {
  const { path, parents } = tree.add(entry.fileName, kind);
  for (const name of parents) await put(tar, { name, type: 'directory', mode: 0o755 });
  if (path === undefined) return;
  await put(tar, await header(path), kind === 'file' ? await zip.openReadStreamPromise(entry) : undefined);
}

async function linkHeader({ zip, tree }: Conversion, entry: Entry, name: string): Promise<TarHeader> {
  if (entry.uncompressedSize > MAX_LINK_BYTES) refuse(`a link of ${entry.uncompressedSize} bytes`, 'shorter links');
  const target = await text(await zip.openReadStreamPromise(entry));
  tree.checkLink(name, target);
  return { name, type: 'symlink', linkname: target };
}

/** One entry of the tar. Times are fixed: an image is named by its code's bytes, not by when it was made. */
async function put(tar: Pack, header: TarHeader, body?: Readable): Promise<void> {
  // A tar whose reader has gone takes no entry. The body reads on then, of a file that is closed beneath it, and says so
  // when nobody listens any more.
  body?.on('error', () => {});
  try {
    const written = Promise.withResolvers<void>();
    const entry = tar.entry({ ...header, mtime: new Date(0), uid: 0, gid: 0 }, (error) => {
      if (error) written.reject(error);
      else written.resolve();
    });
    await Promise.all([written.promise, body && pipeline(body, entry)]);
  } finally {
    body?.destroy();
  }
}
