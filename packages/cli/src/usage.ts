import type { Command, CommanderError } from 'commander';
import { CliError } from './errors.ts';

/** Codes with which commander ends a run that only showed help or the version. */
const SHOWN = new Set(['commander.help', 'commander.helpDisplayed', 'commander.version']);

/** Whether the command line asked for help or the version, and got it. */
export function isShown({ code }: CommanderError): boolean {
  return SHOWN.has(code);
}

/** Commander's findings in the voice of all other errors. */
export function usageError(error: CommanderError, program: Command): CliError {
  const message = error.message.replace(/^error: /, '');
  const [first = '', ...more] = message.split('\n');
  if (error.code === 'commander.unknownCommand') {
    const commands = program.commands.map((command) => command.name()).join(', ');
    const near = /Did you mean (?:one of )?([\w, -]+)\?/.exec(more.join(' '))?.[1];
    const next = near === undefined ? 'See: vmlet --help' : `Did you mean: vmlet ${near.split(', ').join(', vmlet ')}`;
    const command = /'(.*)'/.exec(first)?.[1] ?? '';
    return new CliError('COMMAND_UNKNOWN', { operands: { command, commands, next } });
  }
  const isExcess = error.code === 'commander.excessArguments';
  const text = isExcess ? first.replace(/\. Expected.*$/, '') : [first, ...more].join(' ');
  const found = text.replaceAll("'", '"').replace(/\.$/, '');
  const name = program.args[0];
  const known = program.commands.some((command) => command.name() === name);
  const help = known ? `vmlet ${name} --help` : 'vmlet --help';
  return new CliError('USAGE', { operands: { found, help } });
}
