import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtempDisposable, rename, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from '@vmlet/host';

const ARCHIVE_BYTES = 200_000_000;
/** What an application adds is cut into files of this size. */
const FILE_BYTES = 250_000;
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/**
 * Writes an OCI archive of 200 MB, as a registry would have it: the files of an erofs image as the base, and over them
 * an application of so many files that compress no further. The same image gives the same archive.
 */
export async function makeOciArchive(path: string, image: string): Promise<void> {
  await using work = await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-oci-'));
  const layout = join(work.path, 'layout');
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
  const base = join(work.path, 'base');
  await run('fsck.erofs', [`--extract=${base}`, image]);
  const below = await addLayer(layout, base);
  const application = join(work.path, 'application');
  await fill(join(application, 'opt/application'), ARCHIVE_BYTES - below.size);
  const layers = [below, await addLayer(layout, application)];
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/usr/bin/python3', '-m', 'http.server', '8080'], WorkingDir: '/opt/application' },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: await addJson(layout, config, 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map(({ digest, size }) => ({ mediaType: LAYER, digest, size })),
  };
  const index = { schemaVersion: 2, manifests: [await addJson(layout, manifest, manifest.mediaType)] };
  await writeFile(join(layout, 'index.json'), JSON.stringify(index));
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await run('tar', ['-cf', path, '-C', layout, 'oci-layout', 'index.json', 'blobs']);
}

/** Files that compress no further: a cipher's stream, the same each time. */
async function fill(folder: string, totalBytes: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const stream = createCipheriv('aes-256-ctr', Buffer.alloc(32), Buffer.alloc(16));
  const zeros = Buffer.alloc(FILE_BYTES);
  for (let count = 0; count * FILE_BYTES < totalBytes; count += 1)
    await writeFile(join(folder, `${count}.bin`), stream.update(zeros));
}

async function addLayer(layout: string, tree: string) {
  const tar = `${tree}.tar`;
  await run('tar', ['-cf', tar, '--sort=name', '--numeric-owner', '-C', tree, '.']);
  const diffId = `sha256:${await sha256Of(tar)}`;
  await run('gzip', ['-n', '-6', tar]);
  return { diffId, ...(await addBlob(layout, `${tar}.gz`)) };
}

async function addJson(layout: string, value: object, mediaType: string) {
  const path = join(layout, 'new.json');
  await writeFile(path, JSON.stringify(value));
  return { mediaType, ...(await addBlob(layout, path)) };
}

async function addBlob(layout: string, path: string): Promise<{ digest: string; size: number }> {
  const hash = await sha256Of(path);
  const { size } = await stat(path);
  await rename(path, join(layout, 'blobs/sha256', hash));
  return { digest: `sha256:${hash}`, size };
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
