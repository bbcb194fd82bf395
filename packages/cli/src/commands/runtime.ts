import type { Cli } from '../cli.ts';
import { registerRuntimeAlias } from './runtime-alias.ts';
import { registerRuntimeBuild } from './runtime-build.ts';
import { registerRuntimeCheck } from './runtime-check.ts';
import { registerRuntimeImport } from './runtime-import.ts';
import { registerRuntimeInitFiles } from './runtime-init-files.ts';
import { registerRuntimeLs } from './runtime-ls.ts';
import { registerRuntimeNew } from './runtime-new.ts';
import { registerRuntimePublish } from './runtime-publish.ts';
import { registerRuntimeSchema } from './runtime-schema.ts';
import { registerRuntimeShow } from './runtime-show.ts';
import { registerRuntimeVerify } from './runtime-verify.ts';

const COMMANDS = [
  registerRuntimeLs,
  registerRuntimeShow,
  registerRuntimeNew,
  registerRuntimeBuild,
  registerRuntimeCheck,
  registerRuntimePublish,
  registerRuntimeVerify,
  registerRuntimeImport,
  registerRuntimeAlias,
  registerRuntimeInitFiles,
  registerRuntimeSchema,
];

/** `vmlet runtime ...`: the group, and its commands. */
export function registerRuntime({ program, run }: Cli): void {
  const group = program
    .command('runtime')
    .summary('make and publish root filesystems')
    .description('Makes and publishes runtimes: the root filesystems that programs run in.');
  for (const register of COMMANDS) register({ program: group, run });
}
