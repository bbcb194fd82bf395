import { EXIT_CODES } from '../exit-codes.ts';
import type { CliErrorEntry } from './entry.ts';

const { programFailed } = EXIT_CODES;

/** Errors of names and of what is done to deployed programs. */
export const operateErrors = {
  VERSION_FAILED: {
    phase: 'deploy',
    template: 'Cannot move "{name}" to the new version "{itemHash}": {found}, expected it to start',
    hint: 'The version before it serves on. Correct the program and deploy again; --no-wait moves the name whatever happens',
    exitCode: programFailed,
  },
} as const satisfies Record<string, CliErrorEntry>;
