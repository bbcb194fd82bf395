import { copyFile, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ensureRuntime, FILESYSTEMS, findRuntime } from '@vmlet/builder';
import { writeFileAtomic } from '@vmlet/host';
import { type Command, Option } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { findRecipe } from '../known-runtimes.ts';
import { baseTreesOf } from '../publish/base-trees.ts';
import { type ImportSettings, importSource } from '../publish/import-source.ts';
import { initFilesOf } from '../publish/init-files.ts';
import { RECIPES } from '../publish/runtime.ts';
import { formatBytes } from '../terminal-text.ts';

interface BuildOptions extends ImportSettings {
  from?: string;
  out?: string;
}

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
    .argument('[recipe]', 'name of an official runtime, a folder with recipe.yaml, or that file')
    .option('--from <source>', 'in place of a recipe: oci:PATH[:TAG], docker:PATH[:TAG], tar:FILE or dir:PATH')
    .option('--name <name[@version]>', 'of what comes from there (default: by its path)')
    .addOption(
      new Option('--filesystem <format>', 'another than the recipe’s (of what comes from elsewhere: erofs)').choices(
        FILESYSTEMS,
      ),
    )
    .option('-o, --out <folder>', 'copy the image and its manifest there as NAME.FILESYSTEM and NAME.json');
  addExamples(command, [
    ['vmlet runtime build debian-11-node', 'an official one, ahead of time'],
    [
      'vmlet runtime build --from oci:./web.tar --filesystem ext4',
      'an image of another world, such as skopeo copies it',
    ],
    ['vmlet runtime build ./runtimes/mine --out ./images', 'your own, and keep a copy'],
  ]);
  command.action(async (recipe: string | undefined, options: BuildOptions, self: Command) => {
    await run(self, (context) => build(recipe, options, context));
  });
}

async function build(recipe: string | undefined, options: BuildOptions, context: Context): Promise<undefined> {
  const { output, paths, cwd } = context;
  const { out, from } = options;
  const { manifest, imagePath, cached } =
    from === undefined
      ? await buildRecipe(recipe ?? missing(), options, context)
      : await importSource(from, options, { ...context, cache: paths.cache });
  const image = out === undefined ? imagePath : await copyOut({ manifest, imagePath }, resolve(cwd, out));
  output.settle();
  if (output.isJson) output.json({ image, cached, manifest });
  else {
    const { name, version, sizeBytes } = manifest;
    output.note(`${name} ${version}, ${formatBytes(sizeBytes)}${cached ? ', was built' : ''}`);
    output.line(image);
  }
}

function missing(): never {
  const operands = { option: 'the recipe', found: '', expected: 'one, or --from', help: 'vmlet runtime build --help' };
  throw new CliError('OPTION_MALFORMED', { operands });
}

async function buildRecipe(recipe: string, { filesystem }: Pick<BuildOptions, 'filesystem'>, context: Context) {
  const { output, paths, cwd, signal } = context;
  const found = await findRecipe(recipe, cwd);
  const { cache } = paths;
  const onProgress = (step: string, detail?: string) => output.step(step, detail);
  const initFiles = initFilesOf({ cache, onProgress, signal });
  const wanted = { cache, initFiles, filesystem: filesystem ?? found.filesystem, official: RECIPES };
  const cached = (await findRuntime(found.folder, wanted)) !== undefined;
  return {
    ...(await ensureRuntime(found.folder, { ...wanted, base: baseTreesOf(context), onProgress, signal })),
    cached,
  };
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
