import { EXIT_CODES } from '../exit-codes.ts';
import type { CliErrorEntry } from './entry.ts';

const { notFound, programFailed } = EXIT_CODES;

/** Errors of names and of what is done to deployed programs. */
export const operateErrors = {
  VERSION_FAILED: {
    phase: 'deploy',
    template: 'Cannot move "{name}" to the new version "{itemHash}": {found}, expected it to start',
    hint: 'The version before it serves on. Correct the program and deploy again; --no-wait moves the name whatever happens',
    exitCode: programFailed,
  },
  RECIPE_UNREADABLE: {
    phase: 'runtime',
    template: 'Cannot read the recipe "{path}": {found}, expected a folder with "recipe.yaml", or a name of {known}',
    hint: 'See how one is written in docs/guides/write-a-recipe.md',
    exitCode: notFound,
  },
} as const satisfies Record<string, CliErrorEntry>;
