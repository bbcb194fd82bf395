import { access, constants, readlink, realpath } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { run } from '@vmlet/host';
import { VmletError } from '../../errors.ts';

/** What of the host's files a machine's cage holds: QEMU, what it is linked with, and its firmware. */
export interface HostFiles {
  /** Real path of the program. */
  qemu: string;
  /** Folders and files, at the same path inside, read-only. */
  binds: string[];
  /** Such as `/lib64 -> usr/lib64`. */
  links: { path: string; target: string }[];
}

const QEMU = 'qemu-system-x86_64';
const LINKER_CACHE = '/etc/ld.so.cache';

/**
 * Finds QEMU, its libraries and its firmware, whatever the distribution's folders are.
 * @throws VmletError `QEMU_NOT_STARTED` if it is not on PATH; CommandFailed
 */
export async function findHostFiles(signal: AbortSignal): Promise<HostFiles> {
  // A link would need its target inside, too.
  const qemu = await realpath(await findQemu());
  const [linked, firmware] = await Promise.all([run('ldd', [qemu], { signal }), run(qemu, ['-L', 'help'], { signal })]);
  // "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)", and the loader by its path alone.
  const libraries = [...linked.matchAll(/(?:^|\s)(\/\S+) \(0x/g)].map((match) => dirname(match[1] ?? ''));
  const folders = [...new Set([...libraries, ...firmware.trim().split('\n')])];
  const real = await Promise.all([...folders, LINKER_CACHE].map(realOrUndefined));
  return {
    qemu,
    binds: outermost([...real, qemu].filter((path) => path !== undefined)),
    links: await topLevelLinks(folders),
  };
}

async function findQemu(): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, QEMU);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new VmletError('QEMU_NOT_STARTED', { operands: { command: QEMU, found: 'no such command on PATH' } });
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

/** On hosts with a merged /usr the loader is found by a link. */
async function topLevelLinks(folders: string[]): Promise<HostFiles['links']> {
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
