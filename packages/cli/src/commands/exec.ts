import { SessionError } from '@vmlet/guest-protocol/session';
import { encodeExecRequest } from '@vmlet/guest-protocol/session-requests';
import { type Command, Option } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { answersAtOnce, pickProgram } from '../client/pick-program.ts';
import { openSession } from '../client/session.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { runSession } from '../session/run.ts';
import { isInteractive, sizeOf } from '../session/terminal.ts';
import { cleanLine } from '../terminal-text.ts';

interface ExecOptions {
  tty?: boolean;
  stdin?: boolean;
  workdir?: string;
  env: string[];
}

/** `vmlet exec`. */
export function registerExec({ program, run }: Cli): void {
  const command = program
    .command('exec')
    .summary('run a command inside the machine of a program')
    .description(
      'Starts the machine if none runs, and runs the command in it as root, beside the program: what it changes is ' +
        'gone with the machine. It has the variables of the program. Without a command it runs a shell. The exit status is that of the command, 128 and the ' +
        'number of the signal that ended it, 127 if it is not there, 126 if it cannot be run.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more')
    .argument('[command...]', 'command and its arguments; -- before it keeps its options from vmlet')
    .option('-i, --stdin', 'send stdin to the command (implied by a terminal)')
    .option('-w, --workdir <path>', 'folder of the machine to run it in (default: that of the code)')
    .addOption(new Option('-t, --tty', 'with a terminal (default: if stdin and stdout are one)'))
    .option('-T, --no-tty', 'without a terminal')
    .option('-e, --env <name=value>', 'set a variable for the command; may be given again', collect, []);
  addExamples(command, [
    ['vmlet exec hello', 'a shell in its machine'],
    ['vmlet exec hello -- ps aux', 'what runs there'],
    ['tar c data | vmlet exec -i hello -- tar x -C /tmp', 'send it something'],
  ]);
  command.action(async (wanted: string, argv: string[], options: ExecOptions, self: Command) => {
    await run(self, (context) => exec({ wanted, argv, options }, context));
  });
}

interface Exec {
  wanted: string;
  argv: string[];
  options: ExecOptions;
}

async function exec({ wanted, argv, options }: Exec, context: Context): Promise<number> {
  const { output, signal, env } = context;
  const terminal = options.tty ?? isInteractive(context);
  const request = requestOf(() =>
    encodeExecRequest({
      argv,
      folder: options.workdir,
      env: { ...(terminal ? { TERM: env.TERM ?? 'xterm' } : {}), ...variablesOf(options.env) },
      terminal: terminal ? sizeOf(context) : undefined,
    }),
  );
  const { node, program, shown } = await pickProgram(wanted, context, 'run a command');
  if (!answersAtOnce(program)) output.step(`Starting ${cleanLine(shown)}`);
  const { itemHash } = program;
  const socket = await openSession(node.ownerSocket ?? '', { itemHash, kind: 'exec', request, signal });
  output.settle();
  return await runSession(socket, context, { terminal, input: terminal || options.stdin === true });
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function variablesOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
      const operands = { option: '--env', found: text, expected: 'NAME=VALUE', help: 'vmlet exec --help' };
      throw new CliError('OPTION_MALFORMED', { operands });
    }),
  );
}

/** A request that fits none is the user's own: too many arguments, or a NUL in one. */
function requestOf(encode: () => Buffer): Buffer {
  try {
    return encode();
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    throw new CliError('USAGE', { operands: { found: error.message, help: 'vmlet exec --help' }, cause: error });
  }
}
