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
  const { asked, path } = askedOf(program);
  const message = error.message.replace(/^error: /, '');
  const [first = '', ...more] = message.split('\n');
  if (error.code === 'commander.unknownCommand') {
    const commands = namesOf(asked.commands);
    const near = /Did you mean (?:one of )?([\w, -]+)\?/.exec(more.join(' '))?.[1];
    const next = near === undefined ? `See: ${path} --help` : `Did you mean: ${meant(near.split(', '), path)}`;
    const command = `${path} ${/'(.*)'/.exec(first)?.[1] ?? ''}`.replace(/^vmlet /, '');
    return new CliError('COMMAND_UNKNOWN', { operands: { command, commands, next } });
  }
  const isExcess = error.code === 'commander.excessArguments';
  const text = isExcess ? first.replace(/\. Expected.*$/, '') : [first, ...more].join(' ');
  const found = text.replaceAll("'", '"').replace(/\.$/, '');
  return new CliError('USAGE', { operands: { found, help: `${path} --help` } });
}

/** The command that was being read when it went wrong, and how it is typed. */
function askedOf(program: Command): { asked: Command; path: string } {
  let asked = program;
  let path = 'vmlet';
  for (const word of program.args) {
    const next = asked.commands.find((command) => command.name() === word || command.aliases().includes(word));
    if (next === undefined) break;
    asked = next;
    path = `${path} ${next.name()}`;
  }
  return { asked, path };
}

function namesOf(commands: readonly Command[]): string {
  return commands.map((command) => command.name()).join(', ');
}

function meant(names: readonly string[], path: string): string {
  return names.map((name) => `${path} ${name}`).join(', ');
}
