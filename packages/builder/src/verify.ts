import { join } from 'node:path';
import { type Box, openBox } from './box/index.ts';
import { type BuildOptions, type BuiltRuntime, ensureRuntime } from './build.ts';
import type { Manifest } from './manifest.ts';

/** As many differing files as are named. */
const MAX_DIFFERENCES = 20;

export interface VerifyOptions extends BuildOptions {
  /** SHA-256 of the image that the recipe and its lock are said to make. */
  expectedHash: string;
  /** That image, if it is at hand: then what differs is named. */
  expectedImage?: { path: string; filesystem: Manifest['filesystem'] } | undefined;
}

/** What came of building again. */
export interface Verification {
  matches: boolean;
  built: BuiltRuntime;
  /** The first of what differs, by path, in words. Empty where the other image is not at hand. */
  differences: string[];
}

/**
 * Builds a recipe of what its lock file says once more, in a fresh folder and with nothing kept of earlier builds but
 * packages whose hashes are right, and compares the image.
 * @param folder holds `recipe.yaml`; the lock file is beside it, or where `lockPath` says
 * @throws RecipeError, BoxUnavailable, DiskFull, CommandFailed
 */
export async function verifyRuntime(folder: string, options: VerifyOptions): Promise<Verification> {
  const { cache, expectedHash, expectedImage, signal } = options;
  const built = await ensureRuntime(folder, { ...options, locked: true, update: false, noCache: true });
  const matches = built.manifest.fileHash === expectedHash;
  if (matches || expectedImage === undefined) return { matches, built, differences: [] };
  await using box = await openBox(join(cache, 'builds'), 'verify', { cache, signal });
  const { filesystem } = built.manifest;
  const expected = await filesOf(box, { ...expectedImage, name: 'expected', signal });
  const found = await filesOf(box, { path: built.imagePath, filesystem, name: 'found', signal });
  const differences = differencesOf(expected, found);
  const isSame = differences.length === 0;
  return { matches, built, differences: isSame ? ['no file: the tools that make the image differ'] : differences };
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

function differencesOf(expected: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): string[] {
  const paths = [...new Set([...expected.keys(), ...found.keys()])].sort();
  return paths
    .filter((path) => expected.get(path) !== found.get(path))
    .slice(0, MAX_DIFFERENCES)
    .map((path) => {
      const [then, now] = [expected.get(path), found.get(path)];
      // As a guest would name it; what is in a name is for whoever prints it to make safe.
      const name = JSON.stringify(`/${path}`);
      if (then === undefined) return `${name}: not in the published image`;
      return now === undefined ? `${name}: only in the published image` : `${name}: expected "${then}", found "${now}"`;
    });
}
