import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import { collectFiles } from '../client/owner-collect.ts';
import type { Context } from '../context.ts';

/** `vmlet gc`. */
export function registerGc({ program, run }: Cli): void {
  const command = program
    .command('gc')
    .summary('remove files that nothing needs')
    .description(
      'Removes files that no message in force names and no program uses, once that has been so for their grace (24 hours, ' +
        'see vmlet up --file-grace), and code images of files that are gone. The node does this by itself every hour.',
    )
    .option('--dry-run', 'say what would be removed, and remove nothing');
  addExamples(command, [
    ['vmlet gc --dry-run', 'what would go, what waits for its grace, and what is needed'],
    ['vmlet gc', 'remove it now'],
  ]);
  command.action(async ({ dryRun = false }: { dryRun?: boolean }, self: Command) => {
    await run(self, (context) => gc(dryRun, context));
  });
}

async function gc(dryRun: boolean, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const owner = ownerOf(await locateNode(context), { what: 'remove files', instead: '' });
  output.step('Looking for files that nothing needs');
  const collection = await collectFiles(owner, { dryRun, signal });
  output.settle();
  if (output.isJson) {
    output.json(collection);
    return;
  }
  const { files, codeImages, freedBytes, waitingFiles, waitingBytes, heldFiles, heldBytes } = collection;
  output.line(`${dryRun ? 'would go' : 'removed'}   ${files} files, ${codeImages} code images  ${mib(freedBytes)}`);
  output.line(`in grace  ${waitingFiles} files  ${mib(waitingBytes)}`);
  output.line(`needed    ${heldFiles} files  ${mib(heldBytes)}`);
}

function mib(bytes: number): string {
  return `${(bytes / (1024 * 1024)).toFixed(1)} MiB`;
}
