import { stat } from 'node:fs/promises';
import type { LoadRequest, MachineSpec } from '../machines/snapshot/index.ts';
import type { CallHandler } from '../machines/wire/index.ts';
import { programLabel } from '../program-label.ts';
import type { ProgramFacts, RunnableProgram } from '../runtimes/index.ts';
import { environmentOf, portOf } from './environment/index.ts';

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
