import { CALL_DOORS } from '../../machines/wire/index.ts';
import type { Launch } from '../../runtimes/index.ts';

/** The port on which launchers serve inside a machine, and programs whose runtime names no other. */
export const GUEST_HTTP_PORT = 8080;

/** Where a program calls its host; who takes the Unix socket needs no more of this than "http:". */
const CALLED = `http://localhost:${CALL_DOORS.port}`;

/** What a program finds beside its own variables; the `ALEPH_*` names are those of the reference system. */
export const launcherEnvironment = {
  VMLET: '1',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  PYTHONUNBUFFERED: '1',
  PORT: String(GUEST_HTTP_PORT),
  ALEPH_API_HOST: CALLED,
  ALEPH_API_UNIX_SOCKET: CALL_DOORS.path,
  ALEPH_REMOTE_CRYPTO_HOST: CALLED,
  ALEPH_REMOTE_CRYPTO_UNIX_SOCKET: CALL_DOORS.path,
  ALEPH_INIT_VERSION: '2.0.0',
};

/** What a launcher finds: the runtime's own defaults go over what all have. */
export function environmentOf({ image }: Launch): Record<string, string> {
  return { ...launcherEnvironment, ...image?.env };
}

/** The port on which a program serves inside its machine. */
export function portOf({ image }: Launch): number {
  return image?.port ?? GUEST_HTTP_PORT;
}

/** Interfaces of programs that bring their own HTTP server, with habits of its own. */
const OWN_SERVERS = new Set(['listen', 'executable']);

/**
 * Whether what serves HTTP in a machine is the launcher's, which never closes a connection by itself.
 * @param serves what the launcher found the program to be; undefined where none is loaded
 */
export function keepsConnections(serves: string | undefined): boolean {
  return serves !== undefined && !OWN_SERVERS.has(serves);
}
