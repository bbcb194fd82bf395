import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { CommandFailed } from '@vmlet/host';
import type { Box } from '../box/index.ts';
import { checkBlob, fileBlob, readBoxFile } from './blob.ts';
import { isDockerArchive, readDockerArchive } from './docker.ts';
import { ImportError, refused } from './errors.ts';
import type { ReadImage } from './image.ts';
import type { Packing } from './layer.ts';
import { IMPORT_LIMITS } from './limits.ts';
import { isOciLayout, readOciLayout } from './oci.ts';
import { packFolder } from './pack-folder.ts';
import type { ImportSource } from './source.ts';
import { folderStore, type ImageStore, packingOfFile, tarStore } from './store.ts';

/** A source whose documents were read. */
export interface OpenedSource extends Omit<ReadImage, 'digest'> {
  /** Undefined for a folder, whose content was not read yet. */
  digest: string | undefined;
  /** Whether names that begin with `.wh.` are marks of a layer. */
  whiteouts: boolean;
}

/** Where a source is unpacked that has to be. */
export interface OpenOptions {
  /** A folder of one's own, for archives that are packed as a whole. */
  work: string;
  /** Unpacks what Node.js cannot. */
  box: () => Promise<Box>;
  signal?: AbortSignal | undefined;
}

/**
 * Reads what a source says of itself.
 * @throws ImportError, BoxUnavailable, or a system call's error
 */
export async function openSource(source: ImportSource, options: OpenOptions): Promise<OpenedSource> {
  if (source.kind === 'dir') return await openFolder(source.path, options);
  if (source.kind === 'tar') return await openTar(source.path, options);
  const image = await openImage(source, options);
  return { ...image, whiteouts: true };
}

async function openFolder(path: string, { signal }: OpenOptions): Promise<OpenedSource> {
  if (!(await stat(path)).isDirectory()) throw refused(`"${path}"`, 'no folder', 'a folder with a root filesystem');
  const layer = { operand: `the folder "${path}"`, open: () => packFolder(path, signal) };
  return { config: {}, layers: [layer], digest: undefined, whiteouts: false, check: async () => undefined };
}

async function openTar(path: string, options: OpenOptions): Promise<OpenedSource> {
  const operand = `the tar "${path}"`;
  const { size } = await fileOf(path, operand);
  const digest = await checkBlob(fileBlob(path, { operand, offset: 0, size }));
  const isXz = (await packingOfFile(path)) === 'xz';
  const file = isXz ? await unpackedByXz(path, { operand, ...options }) : path;
  const open = () => (isXz ? readBoxFile(file) : fileBlob(file, { operand, offset: 0, size }).open());
  return { config: {}, layers: [{ operand, open }], digest, whiteouts: false, check: async () => undefined };
}

async function openImage({ kind, path, tag }: ImportSource, options: OpenOptions): Promise<ReadImage> {
  const store = await storeOf(path, options);
  const [isLayout, isArchive] = await Promise.all([isOciLayout(store), isDockerArchive(store)]);
  // Newer archives of Docker are both.
  if (isLayout && (kind === 'oci' || !isArchive)) return await readOciLayout(store, tag);
  if (isArchive) return await readDockerArchive(store, tag);
  const found = 'neither "index.json" nor "manifest.json" in it';
  throw refused(`"${path}"`, found, 'an OCI image layout or what "docker save" writes');
}

async function storeOf(path: string, options: OpenOptions): Promise<ImageStore> {
  if ((await stat(path)).isDirectory()) return folderStore(path);
  const operand = `"${path}"`;
  await fileOf(path, operand);
  const packing = await packingOfFile(path);
  if (packing === undefined) return await tarStore(path, operand);
  const unpacked =
    packing === 'xz'
      ? await unpackedByXz(path, { operand, ...options })
      : await spool(path, { packing, operand, ...options });
  return await tarStore(unpacked, operand);
}

async function fileOf(path: string, operand: string) {
  const found = await stat(path);
  if (!found.isFile()) throw refused(operand, 'no file', 'an archive');
  return found;
}

/** Unpacks an archive that has to be read out of its middle. */
async function spool(
  path: string,
  { packing, operand, work, signal }: OpenOptions & { packing: Packing; operand: string },
): Promise<string> {
  if (packing !== 'gzip' && packing !== 'zstd')
    throw refused(operand, `it is packed by ${packing}`, 'gzip, zstd or xz');
  const unpacked = join(work, 'unpacked.tar');
  const unpack = packing === 'gzip' ? createGunzip() : createZstdDecompress();
  try {
    await pipeline(createReadStream(path), unpack, bounded(operand), createWriteStream(unpacked), { signal });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (!(cause instanceof Error) || !/^(Z_|ZSTD_)/.test(code)) throw cause;
    throw new ImportError(`Cannot import ${operand}: ${cause.message}, expected data that unpacks`, { cause });
  }
  return unpacked;
}

function bounded(operand: string): Transform {
  let left: number = IMPORT_LIMITS.layerBytes;
  return new Transform({
    transform(chunk, _encoding, done) {
      left -= chunk.length;
      const most = IMPORT_LIMITS.layerBytes;
      if (left >= 0) done(null, chunk);
      else done(refused(operand, `more than ${most} bytes when unpacked`, 'less'));
    },
  });
}

/** Node.js has no xz; the machine's own is written in C, and so works in a box. */
async function unpackedByXz(
  path: string,
  { operand, box, signal }: OpenOptions & { operand: string },
): Promise<string> {
  const input: Readable = createReadStream(path);
  const opened = await box();
  const blocks = IMPORT_LIMITS.layerBytes / 512;
  try {
    await opened.run(['sh', '-c', `ulimit -f ${blocks}; exec xz -dc > unpacked.tar`], { input, signal });
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    const said = cause.stderr.trim().split('\n').at(-1) || cause.message;
    throw new ImportError(`Cannot import ${operand}: ${said}, expected data that unpacks`, { cause });
  }
  return join(opened.work, 'unpacked.tar');
}
