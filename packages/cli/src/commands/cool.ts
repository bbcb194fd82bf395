import { type Command, Option } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { coolProgram, TEMPERATURES, type Temperature } from '../client/owner-lifecycle.ts';
import { pickProgram } from '../client/pick-program.ts';
import type { Context } from '../context.ts';
import { cleanLine } from '../terminal-text.ts';

/** `vmlet cool`. */
export function registerCool({ program, run }: Cli): void {
  const command = program
    .command('cool')
    .summary('bring a program to a temperature now')
    .description(
      'A tool of operators, for what happens by itself after a while. "paused": its machine has its processors stopped, ' +
        'and is started first if there is none. "spare": its machine ends, and another one is started ahead, warmed up ' +
        'and stopped, for the next request. "snapshot": its machines end, and the next request starts one from disk. ' +
        'A program that is being asked is left as it is.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more')
    .addOption(new Option('--to <temperature>', 'what to bring it to').choices(TEMPERATURES).makeOptionMandatory());
  addExamples(command, [
    ['vmlet cool hello --to snapshot', 'see how long the next request waits for a start'],
    ['vmlet cool hello --to spare', 'have a machine ready for a request that must not wait'],
  ]);
  command.action(async (wanted: string, { to }: { to: Temperature }, self: Command) => {
    await run(self, (context) => cool(wanted, to, context));
  });
}

async function cool(wanted: string, to: Temperature, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const { owner, program, shown } = await pickProgram(wanted, context, 'cool a program');
  output.step(`Cooling ${cleanLine(shown)}`);
  await coolProgram(owner, program.itemHash, { to, signal });
  output.settle();
  if (output.isJson) output.json({ itemHash: program.itemHash, state: to });
  else output.note(`${cleanLine(shown)} is now: ${to}`);
}
