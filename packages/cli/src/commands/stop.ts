import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { stopProgram } from '../client/owner-lifecycle.ts';
import { pickProgram } from '../client/pick-program.ts';
import type { Context } from '../context.ts';
import { cleanLine } from '../terminal-text.ts';

/** `vmlet stop`. */
export function registerStop({ program, run }: Cli): void {
  const command = program
    .command('stop')
    .summary('stop a program, until it is started again')
    .description(
      'Ends the machines of a program, with its grace, and lets it have none: requests are answered with 503 ' +
        'PROGRAM_STOPPED until `vmlet start` or `vmlet restart`, also after the node was restarted. A new version under ' +
        'the same name is another program, and answers.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more');
  addExamples(command, [
    ['vmlet stop hello', 'end its machines and refuse requests'],
    ['vmlet start hello', 'let it answer again'],
  ]);
  command.action(async (wanted: string, _options: unknown, self: Command) => {
    await run(self, (context) => stop(wanted, context));
  });
}

async function stop(wanted: string, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const { owner, program, shown } = await pickProgram(wanted, context, 'stop a program');
  output.step(`Stopping ${cleanLine(shown)}`);
  await stopProgram(owner, program.itemHash, signal);
  output.settle();
  if (output.isJson) output.json({ itemHash: program.itemHash, state: 'stopped' });
  else output.note(`Stopped ${cleanLine(shown)}; it answers again after: vmlet start ${cleanLine(shown)}`);
}
