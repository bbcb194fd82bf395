import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';

/** `vmlet runtime schema`. */
export function registerRuntimeSchema({ program, run }: Cli): void {
  const command = program
    .command('schema')
    .summary('print the JSON schema of recipes, for editors')
    .description(
      'Prints the JSON schema of recipe.yaml. An editor with the YAML language server completes and checks a recipe by it ' +
        'whose first line is: # yaml-language-server: $schema=recipe.schema.json',
    );
  addExamples(command, [
    ['vmlet runtime schema > recipe.schema.json', 'keep it beside a recipe'],
    ["vmlet runtime schema | jq '.properties | keys'", 'the members that a recipe may have'],
  ]);
  command.action(async (_options: unknown, self: Command) => {
    await run(self, async ({ output }) => {
      const { recipeJsonSchema } = await import('@vmlet/builder/recipe');
      const schema = recipeJsonSchema();
      if (output.isJson) output.json(schema);
      else output.line(JSON.stringify(schema, null, 2));
      return undefined;
    });
  });
}
