import type { Command } from 'commander';
import type { Context } from './context.ts';
import { exitCodeHelp } from './exit-codes.ts';

/** What a command's file needs to put it on the command line. */
export interface Cli {
  readonly program: Command;
  /** Runs the body of a command with what the global options say; what it returns is the exit status, 0 unless told. */
  run(command: Command, body: (context: Context) => Promise<number | undefined>): Promise<void>;
}

/** A line of help: what to type, and what for. */
export type Example = readonly [command: string, purpose: string];

/** Ends a command's help with its examples and the table of exit status. */
export function addExamples(command: Command, examples: readonly Example[]): Command {
  const lines = examples.map(([text, purpose]) => `  $ ${text}\n      ${purpose}`);
  return command.addHelpText('after', ['', 'Examples:', ...lines, '', exitCodeHelp()].join('\n'));
}
