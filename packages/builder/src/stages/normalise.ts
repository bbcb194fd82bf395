import { join } from 'node:path';
import { CommandFailed } from '@vmlet/host';
import type { ReadRecipe } from '../recipe.ts';
import { type StageOptions, TREE, tellFailure } from './stage.ts';

const SCRIPT = join(import.meta.dirname, 'normalise.sh');

/**
 * Removes what the recipe says, and then what differs between two builds or must not be the same in two machines, and
 * sets every later time to that of the packages.
 * @throws RecipeError
 */
export async function normalise(
  read: ReadRecipe,
  { box, epochSeconds, signal }: StageOptions & { epochSeconds: number },
): Promise<void> {
  const { remove, init } = read.recipe;
  for (const [index, pattern] of remove.entries()) {
    try {
      // Words of the shell, as the schema allows them; below the tree, from its root on.
      await box.run(['bash', '-c', `cd ${TREE} && rm -rf -- .${pattern}`], { signal });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      throw tellFailure(read, { member: ['remove', index], what: 'to be removed', error });
    }
  }
  // Identity is given to each machine by its init, and must not be the same in two of them.
  await box.run(['bash', '/normalise.sh', TREE, String(epochSeconds), init], {
    readOnly: { [SCRIPT]: '/normalise.sh' },
    signal,
  });
}
