import type { CommandFailed } from '@vmlet/host';
import type { Box } from '../box/index.ts';
import { isFull } from '../disk-full.ts';
import type { ReadRecipe } from '../recipe.ts';

/** The tree that becomes the image, in a box's work folder. */
export const TREE = 'root';
/** How much of what a command said last is told with its failure, in lines. */
const TOLD_LINES = 12;

/** What each step of a build works with. */
export interface StageOptions {
  box: Box;
  /** Folder that keeps downloaded packages. */
  packages: string;
  onLine?: ((line: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** A failed command as an error of the line of the recipe that asked for it, with what it said last. */
export function tellFailure(
  read: ReadRecipe,
  { member, what, error }: { member: (string | number)[]; what: string; error: CommandFailed },
): Error {
  // Nothing is wrong with the recipe then.
  if (isFull(error)) return error;
  const said = error.stderr.trimEnd().split('\n').slice(-TOLD_LINES);
  const tail = said.map((line) => `\n  ${line}`).join('');
  const found = error.message.replace(/^Cannot run "[^"]*": /, '').replace(/, expected .*$/, '');
  return read.refuse(member, `expected it ${what}, found ${found}:${tail}`, { cause: error });
}
