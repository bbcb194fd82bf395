import { access, constants, readlink, realpath } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { run } from '@vmlet/host';
import { VmletError } from '../../errors.ts';

/** What of the host's files a machine's cage holds: QEMU, what it is linked with, and its firmware. */
export interface HostFiles {
  /** Absolute paths of the programs in the chain, by name. */
  commands: { qemu: string; setpriv: string; prlimit: string; sh: string; bwrap: string | undefined };
  /** Folders and files, at the same path inside, read-only. */
  binds: string[];
  /** Such as `/lib64 -> usr/lib64`. */
  symlinks: { path: string; target: string }[];
}

const LINKER_CACHE = '/etc/ld.so.cache';

/**
 * Finds QEMU, its libraries and its firmware, whatever the distribution's folders are.
 * @throws VmletError `QEMU_NOT_STARTED` naming what is not there; CommandFailed
 */
export async function findHostFiles(signal: AbortSignal): Promise<HostFiles> {
  const [qemu, setpriv, prlimit, sh, bwrap] = await Promise.all([
    // Those that run inside, by their real paths: a link would need its target there, too.
    needed('qemu-system-x86_64').then((path) => realpath(path)),
    needed('setpriv').then((path) => realpath(path)),
    needed('prlimit'),
    needed('sh'),
    findCommand('bwrap'),
  ]);
  const [linked, firmware] = await Promise.all([
    run('ldd', [qemu, setpriv], { signal }),
    run(qemu, ['-L', 'help'], { signal }),
  ]);
  // "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)", and the loader by its path alone.
  const libraries = [...linked.matchAll(/(?:^|\s)(\/\S+) \(0x/g)].map((match) => dirname(match[1] ?? ''));
  const folders = [...new Set([...libraries, ...firmware.trim().split('\n')])];
  const real = await Promise.all(folders.map(realOrUndefined));
  const cache = await realOrUndefined(LINKER_CACHE);
  return {
    commands: { qemu, setpriv, prlimit, sh, bwrap },
    binds: outermost([...real, cache, qemu, setpriv].filter((path) => path !== undefined)),
    symlinks: await topLevelLinks(folders),
  };
}

/** The path of a command, or undefined if it is not on PATH. */
async function findCommand(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

async function needed(name: string): Promise<string> {
  const path = await findCommand(name);
  if (path !== undefined) return path;
  throw new VmletError('QEMU_NOT_STARTED', { operands: { command: name, found: 'no such command on PATH' } });
}

/** QEMU's list of firmware folders names some that are not there. */
function realOrUndefined(path: string): Promise<string | undefined> {
  return realpath(path).catch(() => undefined);
}

/** Without those that lie within another one. */
function outermost(paths: string[]): string[] {
  const unique = [...new Set(paths)];
  return unique.filter((path) => !unique.some((other) => path.startsWith(`${other}/`)));
}

async function topLevelLinks(folders: string[]): Promise<HostFiles['symlinks']> {
  const tops = [...new Set(folders.map((folder) => `/${folder.split('/')[1] ?? ''}`))];
  const links = await Promise.all(
    tops.map((path) =>
      readlink(path).then(
        (target) => [{ path, target }],
        // EINVAL: a folder, not a link.
        () => [],
      ),
    ),
  );
  return links.flat();
}
