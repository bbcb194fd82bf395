import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { findProgram, isItemHash } from '../client/find-program.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import type { LogEntry } from '../client/owner-schema.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { wholeNumber } from '../option-values.ts';
import type { Colors } from '../output.ts';
import { clean } from '../terminal-text.ts';

interface LogsOptions {
  follow?: boolean;
  lines: number;
}

/** `vmlet logs`. */
export function registerLogs({ program, run }: Cli): void {
  const command = program
    .command('logs')
    .summary('show what a program and its machine said')
    .description(
      'Prints the last lines of a program, oldest first: its standard output and error, and what the platform says of ' +
        'its start and end, tracebacks included. With --json a JSON object for each line.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more')
    .option('-f, --follow', 'go on with lines as they come')
    .option('-n, --lines <n>', 'how many lines', wholeNumber('--lines', { min: 0, max: 100_000 }), 100);
  addExamples(command, [
    ['vmlet logs hello', 'the last 100 lines of "hello"'],
    ['vmlet logs hello -f -n 0', 'only what comes from now on'],
    [`vmlet logs hello --json | jq -r 'select(.stream == "platform") | .text'`, 'what the platform said'],
  ]);
  command.action(async (wanted: string, options: LogsOptions, self: Command) => {
    await run(self, (context) => logs(wanted, options, context));
  });
}

async function logs(wanted: string, { follow = false, lines }: LogsOptions, context: Context): Promise<ExitCode> {
  const { output, signal } = context;
  const owner = ownerOf(await locateNode(context), { what: 'read logs', instead: '' });
  const itemHash = isItemHash(wanted)
    ? wanted
    : findProgram(wanted, await owner.programs(signal), { strict: false, nowMs: Date.now() }).itemHash;
  try {
    for await (const entry of owner.logs(itemHash, { lines, follow, signal })) {
      const line = output.isJson ? JSON.stringify(entry) : formatLogEntry(entry, output.colors);
      await output.bytes(`${line}\n`, signal);
    }
    return EXIT_CODES.ok;
  } catch (error) {
    // Ctrl-C is how one stops following: that needs no words.
    const { reason } = signal;
    if (follow && reason instanceof CliError && reason.code === 'INTERRUPTED') return EXIT_CODES.interrupted;
    throw error;
  }
}

/** A line for people: local time, stream, text. */
export function formatLogEntry({ timeMs, stream, text }: LogEntry, colors: Colors): string {
  const time = new Date(timeMs);
  const two = (value: number) => String(value).padStart(2, '0');
  const ms = String(time.getMilliseconds()).padStart(3, '0');
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${ms}`;
  const paint = { stdout: colors.green, stderr: colors.yellow, platform: colors.cyan }[stream];
  return `${colors.dim(clock)} ${paint(stream.padEnd(8))} ${clean(text)}`;
}
