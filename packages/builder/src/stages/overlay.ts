import { chmod, copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { run } from '@vmlet/host';
import type { ReadRecipe, Recipe } from '../recipe.ts';
import { fetchNpmPackage, unpackNpmPackage } from './npm.ts';

/** 26 October 1985, as in every package of npm: what is laid over an image has the same time in each build. */
export const OVERLAY_UNIX_TIME = 499162500;
/** As many as Linux follows. */
const MAX_LINK_HOPS = 40;

/** What makes an image its own init. This package knows where it goes, and not what it is. */
export interface InitFiles {
  /** Other files have another: an image with them is another image. */
  hash: string;
  /** Writes `sbin/init` and `root/vmlet` below a folder, with the launchers of these interpreters. */
  writeTo(folder: string, interpreters: Recipe['interpreters']): Promise<unknown>;
}

export interface OverlayOptions {
  /** Gives the path of the file that a member names. */
  beside: ReadRecipe['beside'];
  /** Folder that keeps downloaded packages. */
  packages: string;
  /** A folder to work in. */
  work: string;
  /** What a recipe with `init: image` gets. */
  initFiles?: InitFiles | undefined;
  onLine?: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Makes a tree of what a recipe adds to its packages of Debian: npm packages, files of its own, links.
 * @returns the tree's folder, or undefined when there is nothing to add
 * @throws RecipeError, CommandFailed
 */
export async function makeOverlay(recipe: Recipe, options: OverlayOptions): Promise<string | undefined> {
  const { npm = [], files = [], links = {} } = recipe;
  const { signal, packages, initFiles } = options;
  if (npm.length + files.length + Object.keys(links).length === 0 && initFiles === undefined) return undefined;
  const overlay = join(options.work, 'overlay');
  await mkdir(overlay);
  if (initFiles !== undefined) await addInit(recipe, overlay, { initFiles, work: options.work, signal });
  for (const [index, wanted] of npm.entries()) {
    options.onLine?.(`${wanted.package} ${wanted.version}`);
    const tarball = await fetchNpmPackage(wanted, { packages, signal });
    const unpacked = join(options.work, `npm-${index}`);
    await unpackNpmPackage(tarball, unpacked, signal);
    for (const { from, to } of wanted.copy) {
      await mkdir(dirname(join(overlay, to)), { recursive: true });
      await run('cp', ['-a', join(unpacked, 'package', from), join(overlay, to)], { signal });
    }
  }
  for (const [index, file] of files.entries()) {
    const path = join(overlay, file.path);
    if (file.concat !== undefined) continue;
    await mkdir(dirname(path), { recursive: true });
    if (file.source === undefined) await writeFile(path, file.content ?? '');
    else await copyFile(options.beside('files', index, 'source'), path);
    await chmod(path, Number.parseInt(file.mode ?? '0644', 8));
  }
  // Last, so that nothing is ever written through one of them.
  for (const [path, target] of Object.entries(links)) {
    await mkdir(dirname(join(overlay, path)), { recursive: true });
    await symlink(target, join(overlay, path));
  }
  return overlay;
}

/** init0 goes where the recipe's own links lead: a folder here would take the place of the link. */
async function addInit(
  { interpreters, links = {} }: Recipe,
  overlay: string,
  { initFiles, work, signal }: { initFiles: InitFiles; work: string; signal: AbortSignal | undefined },
): Promise<void> {
  const written = join(work, 'init-files');
  await initFiles.writeTo(written, interpreters);
  let folder = '/sbin';
  for (
    let target = links[folder], hops = 0;
    target !== undefined && hops < MAX_LINK_HOPS;
    target = links[folder], hops++
  )
    folder = resolve(dirname(folder), target);
  for (const [from, to] of [
    ['sbin/init', join(folder, 'init')],
    ['root/vmlet', '/root/vmlet'],
  ] as const) {
    await mkdir(join(overlay, dirname(to)), { recursive: true });
    await run('cp', ['-a', join(written, from), join(overlay, to)], { signal });
  }
}

/**
 * Packs an overlay for mmdebstrap, which puts it in place with the right owner, whoever builds. Folders are left out:
 * one named `bin` would take the place of the link that a merged layout has there.
 * @returns the tar's path
 */
export async function packOverlay(overlay: string, signal?: AbortSignal): Promise<string> {
  const entries = await readdir(overlay, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(overlay, join(entry.parentPath, entry.name)))
    .sort();
  const list = `${overlay}.list`;
  await writeFile(list, names.map((name) => `${name}\0`).join(''));
  const owner = ['--owner=0', '--group=0', '--numeric-owner', `--mtime=@${OVERLAY_UNIX_TIME}`];
  const tar = `${overlay}.tar`;
  await run('tar', ['-C', overlay, ...owner, '-cf', tar, '--null', '--no-recursion', `--files-from=${list}`], {
    signal,
  });
  return tar;
}
