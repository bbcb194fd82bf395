import { chmod, glob, mkdir, readdir, readFile, realpath, rename, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { makeWorkFolder, run } from '@vmlet/host';
import { type Recipe, RecipeError } from '../recipe.ts';
import { runInside } from './run-inside.ts';
import { codeName } from './sources.ts';

export interface ExtractOptions {
  /** The folder that becomes the root filesystem; must not exist yet. */
  target: string;
  /** A folder to work in. */
  work: string;
  /** Folder that keeps downloaded packages. */
  packages: string;
  /** A tree that is laid over the packages' files. */
  overlay?: string | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Fills a folder with the files of the named Debian packages, without what they depend on and without running any of
 * their scripts. Then come the recipe's folders, joined files, overlay, and applets, in this order.
 * @throws RecipeError for a suite that is not this machine's, or when nothing matches; CommandFailed
 */
export async function extract(recipe: Recipe, options: ExtractOptions): Promise<void> {
  const { target, work, overlay, signal } = options;
  const machineSuite = await codeName();
  if (recipe.suite !== machineSuite) {
    const wanted = `expected "${machineSuite}", the suite of this machine, with variant "extract"`;
    throw new RecipeError(`Cannot build "${recipe.name}": suite "${recipe.suite}", ${wanted}`);
  }
  await mkdir(target, { mode: 0o755 });
  for (const deb of await downloadPackages(recipe.packages, options)) {
    const tar = join(work, `${basename(deb)}.tar`);
    await run('sh', ['-c', 'dpkg-deb --fsys-tarfile "$1" > "$2"', 'sh', deb, tar], { signal });
    // dpkg's patterns are tar's, but for the dot in front of an archive's names.
    const exclude = recipe.exclude.map((pattern) => `--exclude=.${pattern}`);
    await run('tar', ['-xf', tar, '-C', target, '--anchored', '--wildcards', ...exclude, '--no-same-owner'], {
      signal,
    });
  }
  for (const [path, mode] of Object.entries(recipe.directories ?? {})) {
    await mkdir(join(target, path), { recursive: true });
    await chmod(await insideOf(target, path), Number.parseInt(mode, 8));
  }
  await joinFiles(recipe, target);
  if (overlay !== undefined) await run('cp', ['-a', `${overlay}/.`, target], { signal });
  if (recipe.applets !== undefined) await linkApplets(recipe.applets, target, signal);
}

/** Downloads packages from this machine's mirrors; apt checks their hashes against the signed lists. */
async function downloadPackages(names: readonly string[], options: ExtractOptions): Promise<string[]> {
  await using download = await makeWorkFolder(options.packages, 'debian');
  // apt drops to a user of its own when it is root, who may not write here; it only writes files it has checked.
  const args = ['download', '-q', '-o', 'APT::Sandbox::User=root', ...names];
  await run('apt-get', args, { cwd: download.path, signal: options.signal });
  const files = await readdir(download.path);
  return Promise.all(
    names.map(async (name) => {
      const file = files.find((candidate) => candidate.startsWith(`${name}_`));
      if (file === undefined) throw new RecipeError(`Cannot download "${name}": apt left no file, expected a .deb`);
      await rename(join(download.path, file), join(options.packages, file));
      return join(options.packages, file);
    }),
  );
}

/** Writes the files that are others of the image, one after another by name. */
async function joinFiles(recipe: Recipe, target: string): Promise<void> {
  for (const { path, concat, mode } of recipe.files ?? []) {
    if (concat === undefined) continue;
    const found: string[] = [];
    for await (const name of glob(concat.slice(1), { cwd: target })) found.push(name);
    if (found.length === 0) throw new RecipeError(`Cannot make "${path}": no file is "${concat}", expected some`);
    const parts = await Promise.all(found.sort().map(async (name) => readFile(await insideOf(target, name), 'utf8')));
    await mkdir(join(target, dirname(path)), { recursive: true });
    const file = join(await insideOf(target, dirname(path)), basename(path));
    await writeFile(file, parts.map((part) => (part.endsWith('\n') ? part : `${part}\n`)).join(''), { flag: 'wx' });
    await chmod(file, Number.parseInt(mode ?? '0644', 8));
  }
}

/** Links each name that a multi-call program answers to, beside it. */
async function linkApplets(program: string, target: string, signal: AbortSignal | undefined): Promise<void> {
  const folder = await insideOf(target, dirname(program));
  const taken = await readdir(folder);
  const listed = await runInside(target, [program, '--list'], signal);
  for (const name of listed.split('\n')) {
    if (/^[\w[.+-]+$/.test(name) && !taken.includes(name)) await symlink(basename(program), join(folder, name));
  }
}

/** The real path of something in the image, which no link may lead out of. */
async function insideOf(target: string, path: string): Promise<string> {
  const [root, real] = await Promise.all([realpath(target), realpath(join(target, path))]);
  if (real === root || real.startsWith(`${root}${sep}`)) return real;
  throw new RecipeError(`Cannot use "${path}": it leads out of the image, expected a place in it`);
}
