import { Readable } from 'node:stream';
import { CommandFailed } from '@vmlet/host';
import type { ReadRecipe, Recipe } from '../recipe.ts';
import { type StageOptions, TREE, tellFailure } from './stage.ts';

/** Where a step finds commands, unless the recipe's `environment` says otherwise. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs one of a recipe's steps in the tree: as its root, by its `/bin/sh`, with no network, and ended by the first
 * command that fails.
 * @throws RecipeError with what it said last
 */
export async function runStep(read: ReadRecipe, index: number, options: StageOptions): Promise<void> {
  const { box, onLine, signal } = options;
  const step = stepOf(read.recipe, index);
  try {
    const printed = await box.run(['/bin/sh', '-e', '-c', step.run], {
      root: TREE,
      env: { PATH, HOME: '/root', ...read.recipe.environment, ...step.env },
      input: Readable.from([]),
      ...(onLine ? { onLine } : {}),
      signal,
    });
    for (const line of printed.split('\n')) if (line !== '') onLine?.(line);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    throw tellFailure(read, { member: ['run', index], what: 'to succeed', error });
  }
}

function stepOf({ run = [] }: Recipe, index: number) {
  const step = run[index];
  if (step === undefined) throw new RangeError(`Cannot run step ${index}: the recipe has ${run.length}`);
  return step;
}
