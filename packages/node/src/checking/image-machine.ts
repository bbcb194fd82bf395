import { type Backend, bootMachine, type Machine } from '../machines/index.ts';
import { launcherArgv } from '../runtimes/index.ts';
import { launcherEnvironment } from '../starts/environment/index.ts';

/** What looks at an image has room for interpreters that are started one after the other. In MiB. */
const MEMORY_MIB = 512;

/** What every look into an image is given. */
export interface ImageOptions {
  backend: Backend;
  /** From the start of a machine's process to its launcher, in milliseconds. */
  bootDeadlineMs: number;
  signal: AbortSignal;
}

/** Where the survey is in a machine that has the boot kit's drive. */
export const SURVEY = '/run/vmlet/kit/survey';

/**
 * Boots an image with the init of the boot kit, whatever it brings itself, and without network. The machine is ended
 * when what is returned is disposed of.
 * @throws VmletError as `bootMachine` does
 */
export async function bootImage(
  imagePath: string,
  { backend, bootDeadlineMs, signal }: ImageOptions,
): Promise<AsyncDisposable & { machine: Machine }> {
  const spec = {
    runtimeImage: imagePath,
    vcpus: 1,
    memoryMiB: MEMORY_MIB,
    internet: false,
    hostname: 'survey',
    launcher: { argv: launcherArgv('exec', undefined), env: launcherEnvironment },
  };
  const machine = await bootMachine(backend, spec, { deadlineMs: bootDeadlineMs, events: { onLog: () => {} }, signal });
  return {
    machine,
    [Symbol.asyncDispose]: async () => {
      machine.kill();
      await machine.ended;
    },
  };
}
