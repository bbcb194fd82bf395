import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { type Started, startProgram } from '../client/owner-lifecycle.ts';
import { sumMs } from '../client/owner-starts.ts';
import { pickProgram } from '../client/pick-program.ts';
import type { Context } from '../context.ts';
import type { Output } from '../output.ts';
import { cleanLine, formatMs } from '../terminal-text.ts';

/** `vmlet start`. */
export function registerStart({ program, run }: Cli): void {
  const command = program
    .command('start')
    .summary('let a stopped program answer again')
    .description(
      'Lets a program that was stopped have machines again, and starts one if none runs. Programs start by themselves ' +
        'when they are asked; this is for what was stopped, and for a first request that shall not wait.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more')
    .option('--no-wait', 'start no machine now: the next request does');
  addExamples(command, [
    ['vmlet start hello', 'undo `vmlet stop hello`, and warm it up'],
    ['vmlet start hello --no-wait', 'only let it answer again'],
  ]);
  command.action(async (wanted: string, { wait }: { wait: boolean }, self: Command) => {
    await run(self, (context) => start(wanted, wait, context));
  });
}

async function start(wanted: string, wait: boolean, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const { owner, program, shown } = await pickProgram(wanted, context, 'start a program');
  if (wait) output.step(`Starting ${cleanLine(shown)}`);
  const started = await startProgram(owner, program.itemHash, { wait, signal });
  tellStarted(started, { shown, output, done: wait ? 'runs' : 'answers again' });
}

/** Says what starting a program came to. */
export function tellStarted(
  started: Started,
  { shown, output, done }: { shown: string; output: Output; done: string },
): void {
  output.settle();
  if (output.isJson) {
    output.json(started);
    return;
  }
  const { phases } = started;
  const took = phases && ` (started in ${formatMs(sumMs(phases.steps))})`;
  output.note(`${cleanLine(shown)} ${done}${took ?? ''}`);
}
