import { type BigIntStats, lstatSync, readdirSync } from 'node:fs';
import type { Tree } from './tree.ts';

/** More packages of languages are not listed. */
const MAX_FOUND = 5000;

/** What a walk through all of a tree finds. */
export interface Walked {
  /** Bytes of all regular files, each counted once, however many names it has. */
  readonly unpackedBytes: number;
  /** Paths of `package.json` of packages of npm, and of `METADATA` of wheels, as they lie in the tree. */
  readonly npm: readonly string[];
  readonly wheels: readonly string[];
}

/** Where a distribution puts its own packages of these languages, which its package manager lists. */
const OF_DISTRIBUTION = /^\/usr\/(share|lib)\/(nodejs|node_modules|python3\/dist-packages)(\/|$)/;

/** Goes through a tree without following a link. Folders that cannot be read are left out. */
export function walk(tree: Tree): Walked {
  const seen = new Set<bigint>();
  const npm: string[] = [];
  const wheels: string[] = [];
  let unpackedBytes = 0n;
  const ahead = ['/'];
  for (let folder = ahead.pop(); folder !== undefined; folder = ahead.pop()) {
    for (const name of namesIn(tree, folder)) {
      const path = folder === '/' ? `/${name}` : `${folder}/${name}`;
      const found = statOf(tree, path);
      if (found?.isDirectory()) ahead.push(path);
      if (!found?.isFile()) continue;
      if (found.nlink > 1n) {
        if (seen.has(found.ino)) continue;
        seen.add(found.ino);
      }
      unpackedBytes += found.size;
      if (OF_DISTRIBUTION.test(path)) continue;
      if (/\/node_modules\/(@[^/]+\/)?[^/@]+\/package\.json$/.test(path) && npm.length < MAX_FOUND) npm.push(path);
      if (/\.dist-info\/METADATA$/.test(path) && wheels.length < MAX_FOUND) wheels.push(path);
    }
  }
  return { unpackedBytes: Number(unpackedBytes), npm: npm.sort(), wheels: wheels.sort() };
}

function namesIn(tree: Tree, folder: string): string[] {
  try {
    return readdirSync(tree.onDisk(folder), { encoding: 'latin1' }).sort();
  } catch {
    return [];
  }
}

function statOf(tree: Tree, path: string): BigIntStats | undefined {
  try {
    return lstatSync(tree.onDisk(path), { bigint: true });
  } catch {
    return undefined;
  }
}
