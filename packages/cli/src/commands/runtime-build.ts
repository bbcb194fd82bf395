import { copyFile, mkdir, rename } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type BuiltRuntime, FILESYSTEMS } from '@vmlet/builder';
import { writeFileAtomic } from '@vmlet/host';
import { type Command, Option } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { buildRecipe, type RecipeSettings } from '../publish/build-recipe.ts';
import { type ImportSettings, importSource } from '../publish/import-source.ts';
import { formatBytes } from '../terminal-text.ts';

interface BuildOptions extends ImportSettings, RecipeSettings {
  from?: string;
  out?: string;
  output?: string;
}

/** `vmlet runtime build`. */
export function registerRuntimeBuild({ program, run }: Cli): void {
  const command = program
    .command('build')
    .summary('build the image of a recipe')
    .description(
      'Builds a runtime from its recipe, step by step, unless it is in the cache already. `vmlet deploy --runtime NAME` ' +
        'builds official ones by itself; this is for recipes of your own, and for time that is there before it is needed. ' +
        'The first build writes recipe.lock beside the recipe: every package by version and hash. Later builds take these, ' +
        'and --locked nothing else; the image is then the same, byte for byte. Prints the path of the image.',
    )
    .argument('[recipe]', 'name of an official runtime, a folder with recipe.yaml, or that file')
    .option('--from <source>', 'in place of a recipe: oci:PATH[:TAG], docker:PATH[:TAG], tar:FILE or dir:PATH')
    .option('--name <name[@version]>', 'of what comes from there (default: by its path)')
    .addOption(
      new Option('--filesystem <format>', 'another than the recipe’s (of what comes from elsewhere: erofs)').choices(
        FILESYSTEMS,
      ),
    )
    .option('--locked', 'exactly the packages of the lock file, or fail')
    .option('--update', 'the newest packages, and a new lock file')
    .option('--no-cache', 'run every step again')
    .option('--output <file>', 'copy the image there')
    .option(
      '-o, --out <folder>',
      'copy the image there as NAME.FILESYSTEM, its manifest as NAME.json, its content as NAME.spdx.json',
    );
  addExamples(command, [
    ['vmlet runtime build debian-11-node', 'an official one, ahead of time'],
    [
      'vmlet runtime build --from oci:./web.tar --filesystem ext4',
      'an image of another world, such as skopeo copies it',
    ],
    ['vmlet runtime build ./runtimes/mine --out ./images', 'your own, and keep a copy'],
    ['vmlet runtime build ./runtimes/mine --locked --no-cache', 'the same image once more, from nothing'],
  ]);
  command.action(async (recipe: string | undefined, options: BuildOptions, self: Command) => {
    await run(self, (context) => build(recipe, options, context));
  });
}

async function build(recipe: string | undefined, options: BuildOptions, context: Context): Promise<undefined> {
  const { output, paths, cwd } = context;
  const { out, from } = options;
  const built =
    from === undefined
      ? await buildRecipe(recipe ?? missing(), options, context)
      : await importSource(from, options, { ...context, cache: paths.cache });
  const { manifest, imagePath, sbomPath, lockPath, cached } = built;
  const copied = out === undefined ? imagePath : await copyOut(built, resolve(cwd, out));
  const image = options.output === undefined ? copied : await copyImage(imagePath, resolve(cwd, options.output));
  output.settle();
  if (output.isJson) output.json({ image, cached, manifest, sbom: sbomPath ?? null, lock: lockPath ?? null });
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

/** Whole or not at all: a copy that was cut off is no image. */
async function copyImage(imagePath: string, path: string): Promise<string> {
  const part = `${path}.part`;
  await mkdir(dirname(path), { recursive: true });
  await copyFile(imagePath, part);
  await rename(part, path);
  return path;
}

async function copyOut({ manifest, imagePath, sbomPath }: BuiltRuntime, folder: string): Promise<string> {
  const image = await copyImage(imagePath, join(folder, `${manifest.name}.${manifest.filesystem}`));
  await writeFileAtomic(join(folder, `${manifest.name}.json`), `${JSON.stringify(manifest, null, 2)}\n`);
  if (sbomPath !== undefined) await copyFile(sbomPath, join(folder, `${manifest.name}.spdx.json`));
  return image;
}
