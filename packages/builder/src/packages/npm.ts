import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeWorkFolder, run } from '@vmlet/host';
import type { Box } from '../box/index.ts';
import { RecipeError } from '../recipe.ts';
import type { NpmPackage } from '../schema.ts';

export interface FetchOptions {
  /** Folder that keeps what was downloaded and checked. */
  packages: string;
  signal?: AbortSignal | undefined;
}

type Wanted = Pick<NpmPackage, 'package' | 'version' | 'integrity'>;

/**
 * The tarball of a package of the npm registry, from the folder of packages, else from the registry that npm is set up
 * with. Its hash is checked each time; nothing of it is run.
 * @returns path of the tarball
 * @throws RecipeError when the hash is another than the recipe's; CommandFailed
 */
export async function fetchNpmPackage(wanted: Wanted, options: FetchOptions): Promise<string> {
  const spec = `${wanted.package}@${wanted.version}`;
  const kept = join(options.packages, `npm-${spec.replaceAll('/', '+')}.tgz`);
  // A file that is missing or damaged is fetched again.
  if ((await integrityOf(kept).catch(() => undefined)) === wanted.integrity) return kept;
  await using work = await makeWorkFolder(options.packages, 'npm');
  await run('npm', ['pack', spec, '--pack-destination', work.path, '--silent', '--ignore-scripts'], {
    cwd: work.path,
    signal: options.signal,
  });
  const name = (await readdir(work.path)).find((file) => file.endsWith('.tgz'));
  if (name === undefined) throw new RecipeError(`Cannot fetch "${spec}": npm left no file of it, expected a tarball`);
  const found = await integrityOf(join(work.path, name));
  if (found !== wanted.integrity) {
    throw new RecipeError(`Cannot use "${spec}": its integrity is "${found}", expected "${wanted.integrity}"`);
  }
  await rename(join(work.path, name), kept);
  return kept;
}

/**
 * Unpacks an npm tarball in a box; its files then are below `package/`.
 * @param folder in the box's work folder; is made, must not hold anything yet
 * @throws RecipeError when an entry is a link, a device, or outside of `package/`; nothing is unpacked then
 */
export async function unpackNpmPackage(
  tarball: string,
  folder: string,
  { box, signal }: { box: Box; signal?: AbortSignal | undefined },
): Promise<void> {
  const options = { readOnly: { [tarball]: '/npm.tgz' }, signal };
  const listed = await box.run(['tar', '-tvzf', '/npm.tgz', '--numeric-owner', '--quoting-style=escape'], options);
  for (const line of listed.split('\n').filter((text) => text !== '')) {
    const [, kind = '', name = ''] = /^(\S)\S+ +\S+ +\S+ +\S+ +\S+ (.*)$/.exec(line) ?? [];
    // The folder's name is the packer's choice, but for what would lead out of it.
    const isInside = /^[^/]/.test(name) && !name.split('/').includes('..');
    if (!'-d'.includes(kind) || !isInside || kind === '') {
      throw new RecipeError(`Cannot unpack "${tarball}": entry "${line}", expected files and folders inside of it`);
    }
  }
  const into = join(folder, 'package');
  await box.run(['mkdir', '-p', into], { signal });
  const args = ['-xzf', '/npm.tgz', '-C', into, '--strip-components=1'];
  await box.run(['tar', ...args, '--no-same-owner', '--no-same-permissions'], options);
}

async function integrityOf(path: string): Promise<string> {
  const hash = createHash('sha512');
  await pipeline(createReadStream(path), hash);
  return `sha512-${hash.digest('base64')}`;
}
