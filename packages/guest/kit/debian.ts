import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeWorkFolder, run } from '@vmlet/host';

export interface FetchOptions {
  /** Folder that keeps downloaded .deb files. */
  packages: string;
  signal?: AbortSignal | undefined;
}

/** The concrete package behind Debian's meta package of the newest cloud kernel. */
export async function cloudKernelPackage(signal?: AbortSignal): Promise<string> {
  const printed = await run('apt-cache', ['depends', '--important', 'linux-image-cloud-amd64'], { signal });
  const name = /Depends: (linux-image-\S+-cloud-amd64)$/m.exec(printed)?.[1];
  if (!name)
    throw new Error('Cannot find the cloud kernel: apt knows no "linux-image-cloud-amd64", expected its package lists');
  return name;
}

/**
 * Downloads Debian packages from the mirrors that this machine is set up with; apt checks their hashes against the
 * signed lists. Nothing is installed.
 * @returns the path of each package's .deb, in the order given
 */
export async function downloadPackages(names: readonly string[], options: FetchOptions): Promise<string[]> {
  await using work = await makeWorkFolder(options.packages, 'debian');
  // apt drops to a user of its own when it is root, who may not write here; it only writes files it has checked.
  await run('apt-get', ['download', '-q', '-o', 'APT::Sandbox::User=root', ...names], {
    cwd: work.path,
    signal: options.signal,
  });
  const files = await readdir(work.path);
  return await Promise.all(
    names.map(async (name) => {
      const file = files.find((candidate) => candidate.startsWith(`${name}_`));
      if (!file) throw new Error(`Cannot download "${name}": apt left no file of it, expected a .deb`);
      await rename(join(work.path, file), join(options.packages, file));
      return join(options.packages, file);
    }),
  );
}

/** Unpacks a .deb's files into a folder; runs none of its scripts. */
export async function unpackPackage(deb: string, folder: string, signal?: AbortSignal): Promise<void> {
  await mkdir(folder, { recursive: true });
  await run('dpkg-deb', ['-x', deb, folder], { signal });
}
