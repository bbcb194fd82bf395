import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { restartProgram } from '../client/owner-lifecycle.ts';
import { pickProgram } from '../client/pick-program.ts';
import type { Context } from '../context.ts';
import { cleanLine } from '../terminal-text.ts';
import { tellStarted } from './start.ts';

/** `vmlet restart`. */
export function registerRestart({ program, run }: Cli): void {
  const command = program
    .command('restart')
    .summary('give a program a fresh machine')
    .description(
      'Starts a fresh machine of a program; the one that runs serves until that is up, then finishes what it has. No ' +
        'request is lost, and one that does not start changes nothing. A stopped program is started.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more');
  addExamples(command, [['vmlet restart hello', 'for what only a fresh start mends']]);
  command.action(async (wanted: string, _options: unknown, self: Command) => {
    await run(self, (context) => restart(wanted, context));
  });
}

async function restart(wanted: string, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const { owner, program, shown } = await pickProgram(wanted, context, 'restart a program');
  output.step(`Restarting ${cleanLine(shown)}`);
  const started = await restartProgram(owner, program.itemHash, signal);
  tellStarted(started, { shown, output, done: 'runs on a fresh machine' });
}
