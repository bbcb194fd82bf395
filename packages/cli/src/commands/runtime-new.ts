import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { StarterKind } from '@vmlet/builder/recipe';
import { type Command, Option } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';

const RECIPE_FILE = 'recipe.yaml';
/** As the schema of recipes has it. */
const NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/;

const STARTER_KINDS: readonly StarterKind[] = ['python', 'node', 'minimal'];

/** `vmlet runtime new`. */
export function registerRuntimeNew({ program, run }: Cli): void {
  const command = program
    .command('new')
    .summary('write a recipe to begin with')
    .description(
      'Writes a folder with recipe.yaml, which builds as it is and says what else can stand in it, and the schema that editors ' +
        'complete it by. It extends an official runtime of that kind: minimal is a shell alone, for executables. Prints the path of the recipe.',
    )
    .argument('<folder>', 'where to write it; its name is the name of the runtime')
    .addOption(new Option('--kind <kind>', 'what to begin with').choices(STARTER_KINDS).default('python'));
  addExamples(command, [
    ['vmlet runtime new mine', 'a recipe that adds to the official runtime of Python'],
    ['vmlet runtime new mine --kind minimal && vmlet runtime build ./mine', 'a small one, built in seconds'],
  ]);
  command.action(async (folder: string, { kind }: { kind: StarterKind }, self: Command) => {
    await run(self, (context) => writeStarter(folder, kind, context));
  });
}

async function writeStarter(folder: string, kind: StarterKind, { output, cwd }: Context): Promise<undefined> {
  const path = resolve(cwd, folder);
  const name = basename(path);
  const refuse = (found: string) => new CliError('RECIPE_NOT_WRITTEN', { operands: { path: folder, found } });
  if (!NAME.test(name)) throw refuse(`"${name}" is no name of a runtime`);
  const { recipeJsonSchema, SCHEMA_FILE, starterRecipe } = await import('@vmlet/builder/recipe');
  const recipePath = join(path, RECIPE_FILE);
  const schemaPath = join(path, SCHEMA_FILE);
  try {
    await mkdir(path, { recursive: true });
    await writeFile(recipePath, starterRecipe(name, kind), { flag: 'wx' });
    await writeFile(schemaPath, `${JSON.stringify(recipeJsonSchema(), null, 2)}\n`);
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    throw refuse(isThere ? `"${recipePath}" is there already` : error instanceof Error ? error.message : String(error));
  }
  if (output.isJson) {
    output.json({ name, recipe: recipePath, schema: schemaPath });
    return;
  }
  output.note(
    `Build it with: vmlet runtime build ${folder.startsWith('.') || folder.startsWith('/') ? '' : './'}${folder}`,
  );
  output.line(recipePath);
}
