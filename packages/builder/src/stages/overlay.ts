import { createReadStream } from 'node:fs';
import { mkdtempDisposable, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CommandFailed } from '@vmlet/host';
import { type Pack, pack } from 'tar-stream';
import { fetchNpmPackage, unpackNpmPackage } from '../packages/npm.ts';
import type { ReadRecipe, Recipe } from '../recipe.ts';
import { type StageOptions, TREE, tellFailure } from './stage.ts';

/** 26 October 1985, as in every package of npm: what is laid over an image has the same time in each build. */
export const OVERLAY_UNIX_TIME = 499162500;
/** As many as Linux follows. */
const MAX_LINK_HOPS = 40;
/** Where it is put together, in the box's work folder. */
const OVERLAY = 'overlay';

/** What makes an image its own init. This package knows where it goes, and not what it is. */
export interface InitFiles {
  /** Other files have another: an image with them is another image. */
  hash: string;
  /** Writes `sbin/init` and `root/vmlet` below a folder, with the launchers of these interpreters. */
  writeTo(folder: string, interpreters: Recipe['interpreters']): Promise<unknown>;
}

/** Whether a recipe adds anything to its packages. */
export function hasOverlay({ npm = [], files = [], links = {}, init }: Recipe): boolean {
  return npm.length + files.length + Object.keys(links).length > 0 || init === 'image';
}

/**
 * Lays over the tree what a recipe adds to its packages of Debian: npm packages, files of its own, links. Owner and
 * times are always the same ones. Folders are not laid over: one named `bin` would take the place of the link that a
 * merged layout has there.
 * @throws RecipeError
 */
export async function layOver(
  read: ReadRecipe,
  options: StageOptions & { initFiles?: InitFiles | undefined },
): Promise<void> {
  const { box, initFiles, signal } = options;
  await box.run(['mkdir', OVERLAY], { signal });
  if (initFiles !== undefined) await addTree(options, (packing) => packInit(read.recipe, initFiles, packing));
  await addNpm(read, options);
  await addTree(options, (packing) => packFiles(read, packing));
  const owner = `--owner=0 --group=0 --numeric-owner --mtime=@${OVERLAY_UNIX_TIME}`;
  const script = `umask 022; cd ${OVERLAY} && find . ! -type d -print0 | sort -z |
tar ${owner} -c --null --no-recursion --files-from=- | tar -x -C ../${TREE} && cd .. && rm -rf ${OVERLAY}`;
  try {
    await box.run(['bash', '-o', 'pipefail', '-c', script], { signal });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    throw tellFailure(read, { member: ['files'], what: 'to be put into the image', error });
  }
}

async function addNpm(read: ReadRecipe, { box, packages, onLine, signal }: StageOptions): Promise<void> {
  for (const [index, wanted] of (read.recipe.npm ?? []).entries()) {
    onLine?.(`${wanted.package} ${wanted.version}`);
    try {
      const tarball = await fetchNpmPackage(wanted, { packages, signal });
      await unpackNpmPackage(tarball, `npm-${index}`, { box, signal });
      const script = 'mkdir -p "$(dirname "$2")" && cp -a "$1" "$2"';
      for (const { from, to } of wanted.copy) {
        await box.run(['sh', '-c', script, 'sh', join(`npm-${index}/package`, from), join(OVERLAY, to)], { signal });
      }
      await box.run(['rm', '-rf', `npm-${index}`], { signal });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      throw tellFailure(read, { member: ['npm', index], what: 'to be had and copied', error });
    }
  }
}

/** What is packed on the host, of files that are ours or the recipe's, is unpacked in the box. */
async function addTree({ box, signal }: StageOptions, fill: (packing: Pack) => Promise<void>): Promise<void> {
  const packing = pack();
  const filling = fill(packing).then(
    () => packing.finalize(),
    (error: Error) => packing.destroy(error),
  );
  await box.run(['tar', '-x', '-C', OVERLAY], { input: Readable.from(packing), signal });
  await filling;
}

/** init0 goes where the recipe's own links lead: a folder there would take the place of the link. */
async function packInit({ interpreters, links = {} }: Recipe, initFiles: InitFiles, packing: Pack): Promise<void> {
  await using written = await mkdtempDisposable(join(tmpdir(), 'vmlet-init-'));
  await initFiles.writeTo(written.path, interpreters);
  let folder = '/sbin';
  for (
    let target = links[folder], hops = 0;
    target !== undefined && hops < MAX_LINK_HOPS;
    target = links[folder], hops++
  )
    folder = resolve(dirname(folder), target);
  await packFile(packing, join(written.path, 'sbin/init'), { name: join(folder, 'init') });
  const launchers = join(written.path, 'root/vmlet');
  for (const entry of await readdir(launchers, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    await packFile(packing, path, { name: join('/root/vmlet', relative(launchers, path)) });
  }
}

/** Links last, so that nothing is ever written through one of them. */
async function packFiles({ recipe, beside }: ReadRecipe, packing: Pack): Promise<void> {
  for (const [index, file] of (recipe.files ?? []).entries()) {
    const mode = Number.parseInt(file.mode ?? '0644', 8);
    const name = file.path.slice(1);
    if (file.source !== undefined) await packFile(packing, beside('files', index, 'source'), { name: file.path, mode });
    else if (file.content !== undefined) packing.entry({ name, mode }, file.content);
  }
  for (const [path, linkname] of Object.entries(recipe.links ?? {}))
    packing.entry({ name: path.slice(1), type: 'symlink', linkname });
}

async function packFile(packing: Pack, path: string, { name, mode }: { name: string; mode?: number }): Promise<void> {
  const found = await stat(path);
  const header = { name: name.slice(1), size: found.size, mode: mode ?? found.mode & 0o7777 };
  await pipeline(createReadStream(path), packing.entry(header));
}
