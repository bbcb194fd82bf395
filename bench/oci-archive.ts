import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { buildImport, parseSource } from '@vmlet/builder/import';
import { pack } from 'tar-stream';

const LAYERS = 4;
const FILE_BYTES = 48 * 1024;
const FILES_A_FOLDER = 64;
/** Half of each file does not pack, as in an image of programs and libraries. */
const PACKED_SHARE = 0.5;
const MB_BYTES = 1_000_000;

/** What a build of it came to. */
export interface ImportFigures {
  /** From the archive to the image in the cache. */
  ms: number;
  archiveBytes: number;
  imageBytes: number;
}

/**
 * Writes an archive with an OCI layout of about so many megabytes, in four layers packed by gzip, always the same.
 * @returns its path
 */
export async function writeOciArchive(folder: string, megabytes: number): Promise<string> {
  const archive = join(folder, `oci-${megabytes}mb.tar`);
  const files = Math.round((megabytes * MB_BYTES) / LAYERS / (FILE_BYTES * PACKED_SHARE));
  const tar = pack();
  const written = pipeline(tar, createWriteStream(archive));
  const put = (bytes: Buffer, mediaType: string) => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    tar.entry({ name: `blobs/sha256/${hex}` }, bytes);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${hex}`, size: bytes.length };
  };
  const layers = [];
  const diffIds = [];
  for (let index = 0; index < LAYERS; index++) {
    const layer = await layerOf(index, files);
    diffIds.push(`sha256:${createHash('sha256').update(layer).digest('hex')}`);
    layers.push(put(gzipSync(layer, { level: 1 }), 'layer.v1.tar+gzip'));
  }
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const config = put(json({ os: 'linux', architecture: 'amd64', config: {}, rootfs }), 'config.v1+json');
  const manifest = put(json({ schemaVersion: 2, config, layers }), 'manifest.v1+json');
  tar.entry({ name: 'index.json' }, json({ schemaVersion: 2, manifests: [manifest] }));
  tar.entry({ name: 'oci-layout' }, json({ imageLayoutVersion: '1.0.0' }));
  tar.finalize();
  await written;
  return archive;
}

/** Makes a bootable runtime of an archive, in a cache of its own, and says how long that took. */
export async function measureImport(archive: string, cache: string, signal?: AbortSignal): Promise<ImportFigures> {
  const begun = performance.now();
  const { manifest } = await buildImport(await parseSource(`oci:${archive}`, '/'), {
    ...{ cache, name: 'oci', version: '1', signal },
    filesystem: { format: 'erofs', compression: 'lz4hc', maxSizeMiB: 4096 },
  });
  const ms = performance.now() - begun;
  return { ms, archiveBytes: (await stat(archive)).size, imageBytes: manifest.sizeBytes };
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

async function layerOf(layer: number, files: number): Promise<Buffer> {
  const tar = pack();
  const random = bytesFrom(layer + 1);
  for (let file = 0; file < files; file++) {
    const content = Buffer.alloc(FILE_BYTES, 'words that pack well; ');
    random(content.subarray(0, FILE_BYTES * PACKED_SHARE));
    const folder = Math.floor(file / FILES_A_FOLDER);
    tar.entry({ name: `usr/lib/${layer}/${folder}/${file}.so`, mode: 0o644, mtime: new Date(0) }, content);
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Fills with numbers that follow no pattern, the same each time (xorshift32). */
function bytesFrom(seed: number): (bytes: Buffer) => void {
  let state = seed;
  return (bytes) => {
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      bytes.writeInt32LE(state | 0, at);
    }
  };
}
