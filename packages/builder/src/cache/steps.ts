import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CommandFailed } from '@vmlet/host';
import { type Box, takeFile } from '../box/index.ts';
import { isFull } from '../disk-full.ts';
import { failpoint } from '../failpoint.ts';
import { TREE } from '../stages/stage.ts';

/** All kept trees together: what was used longest ago goes first. */
const MAX_STEPS_BYTES = 4 * 1024 * 1024 * 1024;
/** `<key>-<SHA-256 of the tar>.tar` */
const KEPT = /^([0-9a-f]{64})-([0-9a-f]{64})\.tar$/;
/** All that an image may have of a file. */
const ATTRIBUTES = ['--xattrs', '--xattrs-include=user.*', '--xattrs-include=security.capability', '--numeric-owner'];
const TAR = '/kept.tar';

/** A step of a build, which changes the tree. */
export interface Step {
  /** For people. */
  name: string;
  /** All that its result depends on, besides the steps before it: plain JSON. */
  inputs: unknown;
  run(): Promise<void>;
}

export interface StepsOptions {
  box: Box;
  /** Folder that keeps what trees were like after steps. */
  folder: string;
  /** Runs every step, and keeps what comes of it all the same. */
  noCache?: boolean;
  onProgress?: ((step: string, detail?: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Runs the steps of a build in a box whose tree is empty, from the first one on whose result is not kept.
 * @returns the key of the last one: the same inputs of all of them give the same
 */
export async function runSteps(steps: readonly Step[], options: StepsOptions): Promise<string> {
  const { box, folder, onProgress, signal } = options;
  await mkdir(folder, { recursive: true });
  const keys = keysOf(steps);
  const start = options.noCache ? 0 : await restoreLatest(keys, options);
  for (const { name } of steps.slice(0, start)) onProgress?.(name, 'cached');
  for (const [index, step] of steps.entries()) {
    if (index < start) continue;
    onProgress?.(step.name);
    await step.run();
    await failpoint('build.ran');
    await keep(keys[index] ?? '', { box, folder, signal });
    await failpoint('build.kept');
  }
  await sweep(folder);
  return keys.at(-1) ?? '';
}

function keysOf(steps: readonly Step[]): string[] {
  let key = '';
  return steps.map(({ name, inputs }) => {
    key = createHash('sha256')
      .update(JSON.stringify([key, name, inputs]))
      .digest('hex');
    return key;
  });
}

/** @returns how many steps need not be run */
async function restoreLatest(keys: readonly string[], { box, folder, signal }: StepsOptions): Promise<number> {
  const kept = new Map((await readdir(folder)).flatMap((file) => (KEPT.test(file) ? [[file.slice(0, 64), file]] : [])));
  for (let count = keys.length; count > 0; count--) {
    const file = kept.get(keys[count - 1] ?? '');
    if (file === undefined) continue;
    const path = join(folder, file);
    // What has changed on the disk since is not what was built.
    if ((await sha256Of(path).catch(() => undefined)) !== KEPT.exec(file)?.[2]) {
      await rm(path, { force: true });
      continue;
    }
    const command = ['tar', '-xpf', TAR, '-C', TREE, '--same-owner', ...ATTRIBUTES];
    await box.run(['mkdir', TREE], { signal });
    await box.run(command, { readOnly: { [path]: TAR }, signal });
    const now = new Date();
    await utimes(path, now, now);
    return count;
  }
  return 0;
}

async function keep(
  key: string,
  { box, folder, signal }: { box: Box; folder: string; signal: AbortSignal | undefined },
): Promise<void> {
  const format = ['--format=posix', '--pax-option=delete=atime,delete=ctime'];
  try {
    await box.run(['tar', '-cf', 'kept.tar', ...format, ...ATTRIBUTES, '-C', TREE, '.'], { signal });
  } catch (error) {
    // The build may have just enough room without it, and says so itself if not.
    if (!(error instanceof CommandFailed) || !isFull(error)) throw error;
    await box.run(['rm', '-f', 'kept.tar'], { signal });
    return;
  }
  // Beside the work folder first, where nothing of the box can reach: its name is known when it has been read.
  const taken = join(dirname(box.work), 'kept.tar');
  const tar = await takeFile(box, 'kept.tar', { to: taken });
  // With --no-cache, what was kept before is of no more use.
  for (const file of await readdir(folder)) if (file.startsWith(key)) await rm(join(folder, file), { force: true });
  await rename(taken, join(folder, `${key}-${tar?.sha256}.tar`));
}

/** Removes what was used longest ago, until the rest is within bounds. */
async function sweep(folder: string): Promise<void> {
  const files = (await readdir(folder)).filter((file) => KEPT.test(file)).map((file) => join(folder, file));
  const found = await Promise.all(files.map(async (path) => ({ path, stat: await stat(path).catch(() => undefined) })));
  let totalBytes = 0;
  for (const { path, stat: file } of found.toSorted((a, b) => (b.stat?.mtimeMs ?? 0) - (a.stat?.mtimeMs ?? 0))) {
    totalBytes += file?.size ?? 0;
    if (totalBytes > MAX_STEPS_BYTES) await rm(path, { force: true });
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
