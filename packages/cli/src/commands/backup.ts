import { resolve } from 'node:path';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { cleanLine, formatBytes } from '../terminal-text.ts';

/** `vmlet backup`. */
export function registerBackup({ program, run }: Cli): void {
  const command = program
    .command('backup')
    .summary('copy the home of a node, which may run meanwhile')
    .description(
      'Writes a copy of the home: the database as it is at one moment, the files that its messages name, logs and ' +
        'lists. The node goes on, and waits for nothing. A folder on the same disk shares the bytes of those files with ' +
        'the home; a name that ends with .tar becomes one file. What can be made again (code images, snapshots) is left ' +
        'out, and so is your key, which is not in the home. Prints what was written.',
    )
    .argument('<file|folder>', 'where to write it; there must be nothing of that name');
  addExamples(command, [
    ['vmlet backup /backup/monday', 'a folder'],
    ['vmlet backup /backup/monday.tar', 'one file'],
    ['vmlet restore /backup/monday --home ./home-2', 'and what it is for'],
  ]);
  command.action(async (target: string, _options: unknown, self: Command) => {
    await run(self, (context) => backup(target, context));
  });
}

async function backup(name: string, { output, paths, cwd, signal }: Context): Promise<undefined> {
  const { backUpHome } = await import('@vmlet/node/backup');
  const onProgress = (step: string, detail?: string) => output.step(step, detail);
  const made = await backUpHome({ home: paths.home, target: resolve(cwd, name), onProgress, signal });
  output.settle();
  for (const hash of made.missing) output.warn(`the file ${hash} is named by a message and is not in the home`);
  if (output.isJson) {
    output.json(made);
    return;
  }
  const shared = made.linked === 0 ? '' : `, ${made.linked} of them shared with the home`;
  output.note(`${made.files} files, ${formatBytes(made.sizeBytes)}${shared}`);
  output.note(`Your key is not in it: keep a copy of ${cleanLine(paths.config)}/keys as well`);
  output.line(made.target);
}
