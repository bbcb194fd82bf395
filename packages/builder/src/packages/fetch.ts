import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CommandFailed } from '@vmlet/host';
import { takeFile } from '../box/index.ts';
import { isFull } from '../disk-full.ts';
import type { ReadRecipe } from '../recipe.ts';
import { useSources } from './apt.ts';
import { faultOfLists } from './faults.ts';
import type { Lock, LockedPackage } from './lock.ts';
import { openOrigins, type ResolveOptions } from './resolve.ts';
import { addressesIn } from './sources.ts';

const APT_HELPER = '/usr/lib/apt/apt-helper';
/** What apt says of a file that a mirror does not have, or has with other bytes. */
const NOT_THERE = /\b404\b|File not found|Hash Sum mismatch|unexpected size/i;
/** As many as a command line can name, with room to spare. */
const FETCHED_AT_ONCE = 200;

export interface FetchOptions extends ResolveOptions {
  /** Folder that keeps packages: `debian/<SHA-256>.deb`. */
  packages: string;
}

/** Where a package of a lock is kept, whether it is there or not. */
export function keptPath(packages: string, { sha256 }: Pick<LockedPackage, 'sha256'>): string {
  return join(packages, 'debian', `${sha256}.deb`);
}

/**
 * Makes sure that every package of a lock is in the cache, with the bytes that the lock says; each is read to know.
 * What is missing comes from the recipe's mirrors, each in turn.
 * @throws RecipeError that names the packages that are neither in the cache nor at a mirror
 */
export async function fetchPackages(read: ReadRecipe, lock: Lock, options: FetchOptions): Promise<void> {
  await mkdir(join(options.packages, 'debian'), { recursive: true });
  let missing = await missingOf(lock.packages, options.packages);
  if (missing.length === 0) return;
  const { box, signal } = options;
  const { apt, origins } = await openOrigins(read, options);
  const failures: Error[] = [];
  for (const origin of origins) {
    try {
      const sources = await origin.sources();
      const used = await useSources(box, apt, { sources, signal });
      for (const address of addressesIn(sources)) {
        options.onLine?.(`${missing.length} packages from ${new URL(address).host || address}`);
        missing = await fetchFrom(address, missing, { ...options, env: used.env, readOnly: used.readOnly });
        if (missing.length === 0) return;
      }
    } catch (error) {
      if (!(error instanceof CommandFailed) || isFull(error)) throw error;
      failures.push(faultOfLists(read, { origin, error }));
    }
  }
  throw gone(read, missing, failures);
}

interface FetchFrom extends FetchOptions {
  env: Record<string, string>;
  readOnly: Record<string, string>;
}

/**
 * @returns what the mirror does not have
 * @throws CommandFailed when it does not answer
 */
async function fetchFrom(
  address: string,
  wanted: readonly LockedPackage[],
  options: FetchFrom,
): Promise<LockedPackage[]> {
  const { box, packages, signal } = options;
  await box.run(['sh', '-c', 'rm -rf fetched && mkdir fetched'], { signal });
  for (let start = 0; start < wanted.length; start += FETCHED_AT_ONCE)
    await download(address, wanted.slice(start, start + FETCHED_AT_ONCE), options);
  for (const locked of wanted) {
    const path = keptPath(packages, locked);
    await takeFile(box, `fetched/${locked.sha256}`, { to: path, sha256: locked.sha256, optional: true });
  }
  return await missingOf(wanted, packages);
}

async function download(address: string, wanted: readonly LockedPackage[], options: FetchFrom): Promise<void> {
  const { box, env, readOnly, signal } = options;
  const files = wanted.flatMap(({ path, sha256 }) => [
    `${address}${path}`,
    `/work/fetched/${sha256}`,
    `SHA256:${sha256}`,
  ]);
  try {
    await box.run([APT_HELPER, 'download-file', ...files], { env, readOnly, network: true, signal });
  } catch (error) {
    if (!(error instanceof CommandFailed) || !NOT_THERE.test(error.stderr)) throw error;
    // It gives up at the first one that is not there; the others may be all the same.
    if (wanted.length === 1) return;
    const half = Math.ceil(wanted.length / 2);
    await download(address, wanted.slice(0, half), options);
    await download(address, wanted.slice(half), options);
  }
}

async function missingOf(wanted: readonly LockedPackage[], packages: string): Promise<LockedPackage[]> {
  const missing: LockedPackage[] = [];
  for (const locked of wanted) {
    // A file that is missing or damaged is fetched again.
    const found = await sha256Of(keptPath(packages, locked)).catch(() => undefined);
    if (found !== locked.sha256) missing.push(locked);
  }
  return missing;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function gone(read: ReadRecipe, missing: readonly LockedPackage[], failures: readonly Error[]): Error {
  const named = missing.slice(0, 10).map(({ name, version }) => `${name} ${version}`);
  const more = missing.length > named.length ? `, and ${missing.length - named.length} more` : '';
  const why = failures.map(({ message }) => `\n${message}`).join('');
  const next = 'take newer ones with --update, or put those files into the cache';
  const message = `expected every package of the lock file in the cache or at a mirror, found none of: ${named.join(', ')}${more}; ${next}${why}`;
  return read.refuse(['suite'], message, { cause: failures[0] });
}
