import { cp, mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeErofs } from '@vmlet/builder';
import { run } from '@vmlet/host';
import { z } from 'zod';
import { downloadPackages, unpackPackage } from './debian.ts';

const packagesSchema = z.object({
  to: z.string(),
  packages: z.array(z.object({ package: z.string(), copy: z.array(z.string()) })),
  /** What is copied are wheels, and what is in them is wanted. */
  unzip: z.boolean().default(false),
});
const filesSchema = z.object({ to: z.string(), copy: z.array(z.string()) });

/** `init1-python/kit.json`: what the kit takes from the sources here and from Debian's packages, and where to. */
const kitListSchema = z.object({
  format: z.literal(1),
  launcher: filesSchema,
  programs: filesSchema,
  python: packagesSchema,
  pip: packagesSchema,
});

export interface GuestKitInput {
  /** The folder `init1-python`. */
  launcher: string;
  /** `/lib/modules/<release>` of the unpacked kernel package. */
  modules: string;
  kernelRelease: string;
  /** Folder that keeps downloaded .deb files. */
  packages: string;
  signal?: AbortSignal | undefined;
}

/**
 * Makes the image that every machine has as its second drive, seen at /run/vmlet/kit: launchers, pure-Python servers
 * for root filesystems that lack them, pip, and the kernel's modules. The same input gives the same bytes.
 * @param work an empty folder for its tree
 */
export async function makeGuestKit(work: string, image: string, input: GuestKitInput): Promise<void> {
  const list = kitListSchema.parse(JSON.parse(await readFile(join(input.launcher, 'kit.json'), 'utf8')));
  const tree = join(work, 'tree');
  for (const { to, copy } of [list.launcher, list.programs]) await copyInto(join(tree, to), input.launcher, copy);
  for (const { to, packages, unzip } of [list.python, list.pip]) {
    const debs = await downloadPackages(
      packages.map((entry) => entry.package),
      input,
    );
    for (const [index, entry] of packages.entries()) {
      const unpacked = join(work, entry.package);
      await unpackPackage(debs[index] ?? '', unpacked, input.signal);
      if (unzip) await unzipInto(join(tree, to), unpacked, entry.copy);
      else await copyInto(join(tree, to), unpacked, entry.copy);
    }
  }
  const folders = [list.launcher.to, list.python.to, list.pip.to].map((to) => join(tree, to));
  await compilePython(folders, input.signal);
  await cp(input.modules, join(tree, 'modules', input.kernelRelease), { recursive: true });
  await makeErofs(tree, image, {
    compression: 'lz4',
    uuid: '00000000-0000-4000-8000-000000000001',
    fixedTime: 0,
    allRoot: true,
    signal: input.signal,
  });
}

/** Copies files and folders by their last names, without bytecode of whatever Python last ran the sources here. */
async function copyInto(to: string, from: string, paths: readonly string[]): Promise<void> {
  await mkdir(to, { recursive: true });
  const filter = (path: string) => !/(^|\/)__pycache__(\/|$)|\.pyc$/.test(path);
  for (const path of paths) await cp(join(from, path), join(to, basename(path)), { recursive: true, filter });
}

/** Unpacks wheels, which are zips of Debian's own making: what runs from a zip is compiled anew each time. */
async function unzipInto(to: string, from: string, paths: readonly string[]): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const path of paths) await run('/usr/bin/python3', ['-m', 'zipfile', '-e', join(from, path), to]);
}

/** Bytecode that is valid whatever the file times: the image has none. Another Python version compiles in memory. */
async function compilePython(folders: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const args = ['-m', 'compileall', '-q', '--invalidation-mode', 'unchecked-hash'];
  for (const folder of folders) await run('/usr/bin/python3', [...args, '-s', folder, folder], { signal });
}
