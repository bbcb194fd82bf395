import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CommandFailed, makeWorkFolder, readJsonIfExists, writeFileAtomic } from '@vmlet/host';
import { type Box, openBox } from '../box/index.ts';
import type { BuiltRuntime } from '../build.ts';
import { explainFullDisk } from '../disk-full.ts';
import { makeImage } from '../filesystems/index.ts';
import { type Manifest, manifestSchema } from '../manifest.ts';
import type { Recipe } from '../recipe.ts';
import { describeRuntime, findSbom, writeSbom } from '../sbom/index.ts';
import { readBoxFile } from './blob.ts';
import { refused } from './errors.ts';
import type { Folded } from './fold.ts';
import { type ImportResult, importTree, readTree, TREE } from './import-tree.ts';
import { type OpenedSource, openSource } from './open-source.ts';
import type { ImportSource } from './source.ts';

/** Raised when an image is made differently of the same source. */
const IMPORT_VERSION = 1;

export interface ImportBuild {
  /** `$VMLET_CACHE`. */
  cache: string;
  /** Of the runtime. */
  name: string;
  version: string;
  filesystem: Recipe['filesystem'];
  onProgress?: (step: string, detail?: string) => void;
  signal?: AbortSignal | undefined;
}

/** What came of it, and what could not come along. */
export interface ImportedRuntime extends BuiltRuntime {
  cached: boolean;
  notes: string[];
}

/**
 * The runtime of a source: from the cache, when the same bytes were built before, else built now. The same source gives
 * the same image. It appears in the cache whole or not at all.
 * @throws ImportError, BoxUnavailable, DiskFull, CommandFailed
 */
export async function buildImport(source: ImportSource, options: ImportBuild): Promise<ImportedRuntime> {
  try {
    return await build(source, options);
  } catch (error) {
    throw await explainFullDisk(error, options.cache);
  }
}

async function build(source: ImportSource, options: ImportBuild): Promise<ImportedRuntime> {
  const runtimes = join(options.cache, 'runtimes');
  await using stack = new AsyncDisposableStack();
  const work = stack.use(await makeWorkFolder(runtimes, options.name));
  let opened: Promise<Box> | undefined;
  const box = () => {
    opened ??= openBox(runtimes, options.name, options).then((made) => stack.use(made));
    return opened;
  };
  const found = await openSource(source, { work: work.path, box, signal: options.signal });
  // A folder is known by its content only.
  const early = found.digest === undefined ? await readTree(found, options) : undefined;
  const recordPath = join(runtimes, `${options.name}-${keyOf(found, early, options).slice(0, 16)}.json`);
  const known = await findBuilt(runtimes, recordPath);
  if (known !== undefined) return { ...known, cached: true, notes: [] };

  const folded = early ?? (await readTree(found, options));
  const tree = await importTree(await box(), { source: found, folded }, options);
  const image = join(work.path, 'image');
  const { manifest, sbom } = await makeRuntime(await box(), tree, { ...options, image });
  const imagePath = join(runtimes, `${manifest.fileHash}.${manifest.filesystem}`);
  await rename(image, imagePath);
  const sbomPath = await writeSbom(recordPath, sbom);
  await writeFileAtomic(recordPath, `${JSON.stringify(manifest, null, 2)}\n`);
  return { manifest, imagePath, sbomPath, cached: false, notes: tree.notes };
}

function keyOf(source: OpenedSource, folded: Folded | undefined, { name, version, filesystem }: ImportBuild): string {
  const digest = source.digest ?? folded?.diffIds;
  return sha256Of(JSON.stringify([IMPORT_VERSION, digest, name, version, filesystem]));
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function findBuilt(runtimes: string, recordPath: string): Promise<BuiltRuntime | undefined> {
  const record = manifestSchema.safeParse(await readJsonIfExists(recordPath, { rebuildable: true }));
  if (!record.success) return undefined;
  const imagePath = join(runtimes, `${record.data.fileHash}.${record.data.filesystem}`);
  const found = await stat(imagePath).catch(() => undefined);
  if (found?.size !== record.data.sizeBytes) return undefined;
  return { manifest: record.data, imagePath, sbomPath: await findSbom(recordPath) };
}

/** The tree as an image, in `image`, what is said of it, and the list of what is in it. */
async function makeRuntime(
  box: Box,
  tree: ImportResult,
  options: ImportBuild & { image: string },
): Promise<{ manifest: Manifest; sbom: string }> {
  const { filesystem, signal } = options;
  const interpreters = await findInterpreters(box, tree, signal);
  options.onProgress?.('Listing what is in it');
  const recipe = { filesystem, init: 'kit' } as const;
  const builder = `vmlet-import-${IMPORT_VERSION}`;
  const { facts, sbomOf } = await describeRuntime(box, { tree: TREE, recipe, builder, signal });
  options.onProgress?.(`Making the ${filesystem.format} image`);
  await makeImage(box, {
    tree: TREE,
    image: 'image',
    filesystem,
    epochSeconds: tree.newestMtime,
    label: options.name,
    signal,
  });
  const { size, hash } = await takeOut(join(box.work, 'image'), options.image);
  const most = filesystem.maxSizeMiB * 1024 * 1024;
  if (size > most) throw refused(`"${options.name}"`, `the image has ${size} bytes`, `at most ${most}`);
  await chmod(options.image, 0o444);
  const manifest: Manifest = {
    ...{ format: 1, kind: 'vmlet/runtime', name: options.name, version: options.version },
    description: `Imported, ${tree.digest}`.slice(0, 256),
    os: (facts.osRelease?.PRETTY_NAME ?? facts.osRelease?.NAME ?? '').slice(0, 128),
    ...{ interpreters, filesystem: filesystem.format, init: 'kit', sizeBytes: size, fileHash: hash },
    ...{ ...facts, epoch: tree.newestMtime },
    ...(Object.keys(tree.config).length > 0 ? { config: tree.config } : {}),
  };
  return { manifest, sbom: sbomOf(manifest) };
}

/** Copies what a box has made, and nothing that it may have put in its place. */
async function takeOut(from: string, to: string): Promise<{ size: number; hash: string }> {
  const hash = createHash('sha256');
  let size = 0;
  const measured = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  await pipeline(readBoxFile(from), measured, createWriteStream(to));
  return { size, hash: hash.digest('hex') };
}

const INTERPRETERS = { python: 'python3', node: 'node' };
/** A file of a stranger's with that name may do anything, and for as long as it likes. */
const VERSION_SECONDS = 20;
const USUAL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Those that its PATH leads to and that answer in the box, where the tree is all they see. */
async function findInterpreters(
  box: Box,
  tree: ImportResult,
  signal: AbortSignal | undefined,
): Promise<Manifest['interpreters']> {
  const found: Manifest['interpreters'] = {};
  const folders = (tree.config.env?.PATH ?? USUAL_PATH).split(':').filter((folder) => folder.startsWith('/'));
  for (const [name, command] of Object.entries(INTERPRETERS)) {
    const path = folders.map((folder) => `${folder.replace(/\/+$/, '')}/${command}`).find((each) => tree.find(each));
    if (path === undefined) continue;
    const asked = ['timeout', '--kill-after=1', String(VERSION_SECONDS), 'chroot', TREE, path, '--version'];
    const said = await box.run(asked, { signal }).catch((error: unknown) => {
      if (error instanceof CommandFailed) return undefined;
      throw error;
    });
    const version = /\d+(\.\d+)+/.exec(said ?? '')?.[0];
    if (version !== undefined) found[name] = { path, version };
  }
  return found;
}
