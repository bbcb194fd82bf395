import { stat } from 'node:fs/promises';
import type { LoadRequest, MachineSpec } from '../machines/snapshot/index.ts';
import { CALL_DOORS, type CallHandler } from '../machines/wire/index.ts';
import { programLabel } from '../program-label.ts';
import type { Launch, ProgramFacts, RunnableProgram } from '../runtimes/index.ts';

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

/** The last drive: vda is the runtime, and vdb the boot kit where there is one. */
const CODE_DEVICES = { kit: '/dev/vdc', image: '/dev/vdb' };

/** What a guest takes a code drive to be that it has not mounted yet: no code image is larger. In bytes. */
export const PLACEHOLDER_BYTES = 4 * 1024 ** 3;
/** Guests read whole pages, and take the drive to be longer than the image is. */
const PAGE_BYTES = 4096;

/** Whether a code image can take the place of the drive of nothing that a runtime is saved with. */
export async function fitsPlaceholder(codeImage: string): Promise<boolean> {
  const { size } = await stat(codeImage);
  return size <= PLACEHOLDER_BYTES && size % PAGE_BYTES === 0;
}

/** What of a program makes its machine, files aside. */
type Shaped = Pick<ProgramFacts, 'itemHash' | 'launch' | 'vcpus' | 'memoryMiB' | 'internet'>;

/** The machine of a program. Programs of one runtime and size differ in its name and drives alone. */
export function machineOf(program: Shaped, images: Pick<RunnableProgram, 'runtimeImage' | 'codeImage'>): MachineSpec {
  return {
    runtimeImage: images.runtimeImage,
    codeImage: images.codeImage,
    init: program.launch.init,
    vcpus: program.vcpus,
    memoryMiB: program.memoryMiB,
    internet: program.internet,
    hostname: programLabel(program.itemHash),
    launcher: { argv: program.launch.argv, env: environmentOf(program.launch) },
  };
}

/** How a program's calls of its host are answered, and what it is told of itself for that. */
export interface HostOfProgram {
  /** The program's own variables win over these. */
  variables: Record<string, string>;
  onCall: CallHandler;
}

/** Undefined where the program is to have nothing to call. */
export type FindHost = (program: ProgramFacts) => Promise<HostOfProgram | undefined>;

/** A program with what its host tells it of itself. What snapshots are known by is the program without that. */
export function told<T extends Pick<ProgramFacts, 'variables'>>(program: T, host: HostOfProgram | undefined): T {
  return host ? { ...program, variables: { ...host.variables, ...program.variables } } : program;
}

/** What the launcher of that machine is told to load. */
export function loadOf({ launch, variables }: Pick<ProgramFacts, 'launch' | 'variables'>): LoadRequest {
  return {
    code: { device: CODE_DEVICES[launch.init] },
    entrypoint: launch.entrypoint,
    interface: launch.interface,
    ...(launch.args.length > 0 ? { args: launch.args } : {}),
    variables,
    port: portOf(launch),
  };
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
