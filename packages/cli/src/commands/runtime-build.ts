import { copyFile, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ensureRuntime, findRuntime } from '@vmlet/builder';
import { writeFileAtomic } from '@vmlet/host';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { findRecipe } from '../known-runtimes.ts';
import { initFilesOf } from '../publish/init-files.ts';
import { RECIPES } from '../publish/runtime.ts';
import { formatBytes } from '../terminal-text.ts';

/** `vmlet runtime build`. */
export function registerRuntimeBuild({ program, run }: Cli): void {
  const command = program
    .command('build')
    .summary('build the image of a recipe')
    .description(
      'Builds a runtime from its recipe, step by step, unless it is in the cache already. `vmlet deploy --runtime NAME` ' +
        'builds official ones by itself; this is for recipes of your own, and for time that is there before it is needed. ' +
        'Prints the path of the image.',
    )
    .argument('<recipe>', 'name of an official runtime, a folder with recipe.yaml, or that file')
    .option('-o, --out <folder>', 'copy the image and its manifest there as NAME.FILESYSTEM and NAME.json');
  addExamples(command, [
    ['vmlet runtime build debian-11-node', 'an official one, ahead of time'],
    ['vmlet runtime build ./runtimes/mine --out ./images', 'your own, and keep a copy'],
  ]);
  command.action(async (recipe: string, options: { out?: string }, self: Command) => {
    await run(self, (context) => build(recipe, options, context));
  });
}

async function build(recipe: string, { out }: { out?: string }, context: Context): Promise<undefined> {
  const { output, paths, cwd, signal } = context;
  const { folder, filesystem } = await findRecipe(recipe, cwd);
  const { cache } = paths;
  const onProgress = (step: string, detail?: string) => output.step(step, detail);
  const initFiles = initFilesOf({ cache, onProgress, signal });
  const wanted = { cache, initFiles, filesystem, official: RECIPES };
  const isCached = (await findRuntime(folder, wanted)) !== undefined;
  const { manifest, imagePath } = await ensureRuntime(folder, { ...wanted, onProgress, signal });
  const image = out === undefined ? imagePath : await copyOut({ manifest, imagePath }, resolve(cwd, out));
  output.settle();
  if (output.isJson) output.json({ image, cached: isCached, manifest });
  else {
    output.note(
      `${manifest.name} ${manifest.version}, ${formatBytes(manifest.sizeBytes)}${isCached ? ', was built' : ''}`,
    );
    output.line(image);
  }
}

async function copyOut(
  { manifest, imagePath }: Awaited<ReturnType<typeof ensureRuntime>>,
  folder: string,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const image = join(folder, `${manifest.name}.${manifest.filesystem}`);
  await copyFile(imagePath, image);
  await writeFileAtomic(join(folder, `${manifest.name}.json`), `${JSON.stringify(manifest, null, 2)}\n`);
  return image;
}
