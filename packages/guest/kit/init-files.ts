import { copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeWorkFolder, run } from '@vmlet/host';
import { type BootKit, SURVEY } from './boot-kit.ts';

/** Languages whose programs need an interpreter; executables need none. */
export type Language = 'python' | 'node';

export interface InitFilesOptions {
  /** Whose launchers are written, beside the one of executables: all unless told. */
  languages?: readonly Language[] | undefined;
  signal?: AbortSignal | undefined;
}

/** What is of use to programs of one language only. */
const ONLY_FOR: Record<Language, readonly string[]> = {
  python: ['init1/python', 'python', 'pip'],
  node: ['init1/node'],
};

/** Where an image has what a machine else finds on the boot kit's drive. */
const LAUNCHERS = 'root/vmlet';
const INIT = 'sbin/init';

const README = `What lets this root filesystem start without the drive of vmlet's boot kit.

/sbin/init     init0: PID 1 of the machine
/root/vmlet/   the launchers (init1) of Python, Node.js and executables, and what they need

Written by: vmlet runtime init-files. The manifest of the runtime says "init": "image".
These files belong to one version of vmlet's control protocol; a node of another one says so,
and the files are then written anew. Nothing in here is changed by hand.
`;

/**
 * Writes what an image needs to be its own init: init0 as `sbin/init`, and below `root/vmlet` what the boot kit's drive
 * has, but for the kernel's modules, which are of one kernel only, and what checks images. What of these is there already is replaced.
 * @param folder is made if it is missing
 * @returns the paths that were written, relative to `folder`
 * @throws CommandFailed of `fsck.erofs`
 */
export async function writeInitFiles(
  kit: Pick<BootKit, 'image' | 'init0'>,
  folder: string,
  { languages, signal }: InitFilesOptions = {},
): Promise<string[]> {
  await mkdir(join(folder, 'sbin'), { recursive: true });
  await mkdir(join(folder, 'root'), { recursive: true });
  await using work = await makeWorkFolder(folder, 'init-files');
  const tree = join(work.path, 'tree');
  await run('fsck.erofs', [`--extract=${tree}`, kit.image], { signal });
  for (const name of ['modules', SURVEY, ...unused(languages)]) await rm(join(tree, name), { recursive: true });
  await writeFile(join(tree, 'README'), README);
  await copyFile(kit.init0, join(work.path, 'init'));
  await rm(join(folder, LAUNCHERS), { recursive: true, force: true });
  await rename(tree, join(folder, LAUNCHERS));
  await rename(join(work.path, 'init'), join(folder, INIT));
  const written = (await readdir(join(folder, LAUNCHERS))).toSorted();
  return [INIT, ...written.map((name) => join(LAUNCHERS, name))];
}

function unused(languages: readonly Language[] | undefined): string[] {
  const left = Object.entries(ONLY_FOR).filter(([name]) => languages?.every((language) => language !== name));
  return left.flatMap(([, paths]) => paths);
}
