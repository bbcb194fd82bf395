import { run } from '@vmlet/host';

/**
 * Runs a command of a root filesystem in it, as its root: of the machine when that is who we are, else of a user
 * namespace.
 * @returns its stdout
 * @throws CommandFailed
 */
export function runInside(root: string, argv: readonly string[], signal?: AbortSignal): Promise<string> {
  const [command = '', ...args] =
    process.getuid?.() === 0 ? ['chroot', root] : ['unshare', '--map-root-user', 'chroot', root];
  return run(command, [...args, ...argv], { signal });
}
