import { stat } from 'node:fs/promises';
import type { LoadRequest, MachineSpec } from '../machines/snapshot/index.ts';
import { programLabel } from '../program-label.ts';
import type { ProgramFacts, RunnableProgram } from '../runtimes/index.ts';

/** The port on which launchers serve inside every machine. */
export const GUEST_HTTP_PORT = 8080;

/** What a program finds beside its own variables; the `ALEPH_*` names are those of the reference system. */
export const launcherEnvironment = {
  VMLET: '1',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  PYTHONUNBUFFERED: '1',
  PORT: String(GUEST_HTTP_PORT),
  ALEPH_API_HOST: 'http://localhost',
  ALEPH_API_UNIX_SOCKET: '/tmp/socat-socket',
  ALEPH_INIT_VERSION: '2.0.0',
};

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
    launcher: { argv: program.launch.argv, env: launcherEnvironment },
  };
}

/** What the launcher of that machine is told to load. */
export function loadOf({ launch, variables }: Pick<ProgramFacts, 'launch' | 'variables'>): LoadRequest {
  return {
    code: { device: CODE_DEVICES[launch.init] },
    entrypoint: launch.entrypoint,
    interface: launch.interface,
    ...(launch.args.length > 0 ? { args: launch.args } : {}),
    variables,
    port: GUEST_HTTP_PORT,
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
