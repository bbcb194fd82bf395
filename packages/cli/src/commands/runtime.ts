import type { Cli } from '../cli.ts';
import { CliError } from '../errors.ts';
import { registerRuntimeAdd } from './runtime-add.ts';
import { registerRuntimeInitFiles } from './runtime-init-files.ts';

/** `vmlet runtime ...`: the group, and its commands. */
export function registerRuntime({ program, run }: Cli): void {
  const group = program
    .command('runtime')
    .summary('make and publish root filesystems')
    .description('Makes and publishes runtimes: the root filesystems that programs run in.')
    .usage('[options] <command>')
    .argument('[command]');
  for (const register of [registerRuntimeAdd, registerRuntimeInitFiles]) register({ program: group, run });
  // Comes here only where none of its commands is named.
  group.action((wanted: string | undefined) => {
    if (wanted === undefined) return void group.outputHelp();
    const commands = group.commands.map((command) => command.name()).join(', ');
    const operands = { command: `runtime ${wanted}`, commands, next: 'See: vmlet runtime --help' };
    throw new CliError('COMMAND_UNKNOWN', { operands });
  });
}
