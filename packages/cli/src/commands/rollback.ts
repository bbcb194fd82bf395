import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import { OwnerNames } from '../client/owner-names.ts';
import type { Context } from '../context.ts';
import { cleanLine } from '../terminal-text.ts';

/** `vmlet rollback`. */
export function registerRollback({ program, run }: Cli): void {
  const command = program
    .command('rollback')
    .summary('lead a name back to an earlier version')
    .description(
      'Leads a name to the version that served before the one that serves now, or to a given one, from the next request ' +
        'on; requests under way end where they are. The last ten versions can be gone back to.',
    )
    .argument('<name>', 'a name, as `vmlet name ls` has it')
    .argument('[version]', 'number of a version, or its item_hash or the start of it');
  addExamples(command, [
    ['vmlet rollback hello', 'undo the last deployment of "hello"'],
    ['vmlet rollback hello 3', 'to version 3, which may be a newer one too'],
  ]);
  command.action(async (name: string, version: string | undefined, _options: unknown, self: Command) => {
    await run(self, (context) => rollback(name, version, context));
  });
}

async function rollback(name: string, version: string | undefined, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const owner = ownerOf(await locateNode(context), { what: 'lead a name back', instead: '' });
  const led = await new OwnerNames(owner, signal).rollback(name, version);
  if (output.isJson) {
    output.json(led);
    return;
  }
  const current = led.versions.find((one) => one.current);
  output.note(`${cleanLine(led.name)} is at version ${current?.version} now (${led.itemHash?.slice(0, 12)})`);
}
