import { EXIT_CODES } from '../exit-codes.ts';
import type { CliErrorEntry } from './entry.ts';

const { badInput, cannot, notFound, programFailed, usage } = EXIT_CODES;

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
  CONFIG_UNREADABLE: {
    phase: 'config',
    template: 'Cannot read the settings in "{path}": {found}, expected what `vmlet config set` writes',
    hint: 'Correct the file, or delete it: then the defaults count',
    exitCode: badInput,
  },
  SETTING_UNKNOWN: {
    phase: 'config',
    template: 'Cannot find the setting "{key}": there is none of that name, expected one of {known}',
    hint: 'See: vmlet config ls',
    exitCode: notFound,
  },
  SETTING_MALFORMED: {
    phase: 'config',
    template:
      'Cannot use the setting "{key}" of {where}: its option does not take it ({found}), expected a value of it',
    hint: 'See what there is with: vmlet config ls',
    exitCode: usage,
  },
  SERVICE_NOT_WRITTEN: {
    phase: 'host',
    template: 'Cannot write the unit "{path}": {found}, expected a folder of systemd that this user may write to',
    hint: 'Run it as root for --system, or print it with --dry-run and put it where it belongs',
    exitCode: cannot,
  },
} as const satisfies Record<string, CliErrorEntry>;
