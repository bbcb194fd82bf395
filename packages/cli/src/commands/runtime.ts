import type { Cli } from '../cli.ts';
import { registerRuntimeBuild } from './runtime-build.ts';
import { registerRuntimeLs } from './runtime-ls.ts';
import { registerRuntimeShow } from './runtime-show.ts';

/** `vmlet runtime ...`: the group, and its commands. */
export function registerRuntime({ program, run }: Cli): void {
  const group = program
    .command('runtime')
    .summary('make and publish root filesystems')
    .description('Makes and publishes runtimes: the root filesystems that programs run in.');
  for (const register of [registerRuntimeLs, registerRuntimeShow, registerRuntimeBuild])
    register({ program: group, run });
}
