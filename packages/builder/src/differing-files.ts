import { join } from 'node:path';
import { type Box, openBox } from './box/index.ts';
import type { BuiltRuntime } from './build.ts';
import type { Manifest } from './manifest.ts';

/** As many differing files as are named. */
const MAX_DIFFERENCES = 20;

/** A file that is another one in what was published and in what was built. */
export interface FileDifference {
  /** Where it is in the image. */
  path: string;
  /** What it is, in words; undefined where it is not there. */
  published: string | undefined;
  built: string | undefined;
}

export interface CompareOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  signal?: AbortSignal | undefined;
}

/**
 * The first files, by path, that are others in an image that was published than in one that was built, in a box. None
 * where all are the same: then the tools that make images of them differ.
 * @param publishedPath an image of the same filesystem
 * @throws BoxUnavailable; CommandFailed when one of them is not read
 */
export async function differingFiles(
  publishedPath: string,
  built: BuiltRuntime,
  { cache, signal }: CompareOptions,
): Promise<FileDifference[]> {
  await using box = await openBox(join(cache, 'builds'), 'compare', { cache, signal });
  const { filesystem } = built.manifest;
  const expected = await filesOf(box, { path: publishedPath, filesystem, name: 'expected', signal });
  const found = await filesOf(box, { path: built.imagePath, filesystem, name: 'found', signal });
  const paths = [...new Set([...expected.keys(), ...found.keys()])].sort();
  return paths
    .filter((path) => expected.get(path) !== found.get(path))
    .slice(0, MAX_DIFFERENCES)
    .map((path) => ({ path: `/${path}`, published: expected.get(path), built: found.get(path) }));
}

/** Nothing is mounted: each format has a program that reads it. Those of ext4 and btrfs say on stdout what they do. */
const UNPACKING: Readonly<Record<Manifest['filesystem'], string>> = {
  erofs: 'fsck.erofs --extract="$1" /image > /dev/null',
  squashfs: 'unsquashfs -no-progress -dest "$1" /image > /dev/null',
  ext4: 'mkdir "$1" && debugfs -R "rdump / $1" /image > /dev/null',
  btrfs: 'mkdir "$1" && btrfs restore --metadata --symlinks --xattr /image "$1" > /dev/null',
};

interface Image {
  path: string;
  filesystem: Manifest['filesystem'];
  name: string;
  signal: AbortSignal | undefined;
}

/** Every file of an image, by its path: kind, mode, owner, time, and size or where it leads; and its hash. */
async function filesOf(box: Box, { path, filesystem, name, signal }: Image): Promise<Map<string, string>> {
  await box.run(['sh', '-c', UNPACKING[filesystem], 'sh', name], { readOnly: { [path]: '/image' }, signal });
  const cwd = `/work/${name}`;
  const format = ['-type', 'd', '-printf', '%P\\0d %m %U:%G %T@\\0', '-o', '-printf', '%P\\0%y %m %U:%G %T@ %s %l\\0'];
  const listed = await box.run(['find', '.', ...format], { cwd, signal });
  const files = new Map<string, string>();
  const parts = listed.split('\0');
  for (let at = 0; at + 1 < parts.length; at += 2) files.set(parts[at] ?? '', parts[at + 1] ?? '');
  const hashing = ['find', '.', '-type', 'f', '-exec', 'sha256sum', '--zero', '{}', '+'];
  for (const line of (await box.run(hashing, { cwd, signal })).split('\0')) {
    const file = line.slice('0'.repeat(64).length + '  ./'.length);
    if (file !== '') files.set(file, `${files.get(file)} ${line.slice(0, 64)}`);
  }
  return files;
}
