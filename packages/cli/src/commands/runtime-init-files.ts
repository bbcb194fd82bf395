import { resolve } from 'node:path';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';

/** `vmlet runtime init-files`. */
export function registerRuntimeInitFiles({ program, run }: Cli): void {
  const command = program
    .command('init-files')
    .summary('write the init that a runtime of your own starts with')
    .description(
      'Writes sbin/init (init0) and root/vmlet (the launchers of Python, Node.js and executables) into a folder. Copied into ' +
        'a root filesystem, they let it start without the drive of the boot kit; its manifest then says "init": "image".',
    )
    .argument('<folder>', 'where to write them; made if it is missing');
  addExamples(command, [
    ['vmlet runtime init-files ./init-files', 'write them, to copy them into a root filesystem'],
    ['vmlet runtime init-files ./init-files --json | jq -r .files[]', 'what was written'],
  ]);
  command.action(async (folder: string, _options: unknown, self: Command) => {
    await run(self, (context) => writeInitFiles(folder, context));
  });
}

async function writeInitFiles(folder: string, { output, paths, cwd, signal }: Context): Promise<undefined> {
  const { initFiles } = await import('@vmlet/node');
  const onProgress = (step: string, detail?: string) => output.step(step, detail);
  const files = await initFiles({ cache: paths.cache, onProgress, signal });
  output.step('Writing the files');
  const path = resolve(cwd, folder);
  const written = await files.writeTo(path);
  if (output.isJson) output.json({ folder: path, files: written });
  else for (const name of written) output.line(name);
}
