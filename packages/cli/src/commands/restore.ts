import { resolve } from 'node:path';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { cleanLine, formatBytes } from '../terminal-text.ts';

/** `vmlet restore`. */
export function registerRestore({ program, run }: Cli): void {
  const command = program
    .command('restore')
    .summary('make the home of a node from a backup')
    .description(
      'Checks every byte of a backup against its hash, and the database against the files that it names, and makes a ' +
        'home of it, which `vmlet up` starts from. A home that has anything in it is never touched, and until all is right ' +
        'there is no home. Prints the home.',
    )
    .argument('<file|folder>', 'what `vmlet backup` has written');
  addExamples(command, [
    ['vmlet restore /backup/monday', 'to the home of this user, if that is empty'],
    ['vmlet restore /backup/monday.tar --home ./home-2', 'to another one'],
  ]);
  command.action(async (source: string, _options: unknown, self: Command) => {
    await run(self, (context) => restore(source, context));
  });
}

async function restore(source: string, { output, paths, cwd, signal }: Context): Promise<undefined> {
  const { restoreHome } = await import('@vmlet/node/backup');
  const onProgress = (step: string, detail?: string) => output.step(step, detail);
  const made = await restoreHome({ source: resolve(cwd, source), home: paths.home, onProgress, signal });
  output.settle();
  for (const hash of made.missing) output.warn(`the file ${hash} was missing when the backup was made`);
  if (output.isJson) {
    output.json(made);
    return;
  }
  output.note(`${made.files} files, ${formatBytes(made.sizeBytes)}, as of ${cleanLine(made.made)}`);
  output.line(made.home);
}
