import { EXIT_CODES } from '../exit-codes.ts';
import type { CliErrorEntry } from './entry.ts';

const { badInput, cannot, notFound, programFailed, refused, usage } = EXIT_CODES;

/** Errors of names and of what is done to deployed programs. */
export const operateErrors = {
  VERSION_FAILED: {
    phase: 'deploy',
    template: 'Cannot move "{name}" to the new version "{itemHash}": {found}, expected it to start',
    hint: 'The version before it serves on. Correct the program and deploy again; --no-wait moves the name whatever happens',
    exitCode: programFailed,
  },
  SESSION_BROKEN: {
    phase: 'session',
    template: 'Cannot go on with the session: {found}, expected it to end by itself',
    hint: 'Look at what the platform says of the machine with: vmlet logs',
    exitCode: programFailed,
  },
  COPY_SIDES: {
    phase: 'session',
    template: 'Cannot copy "{source}" to "{target}": {found}, expected one of them to be PROGRAM:PATH',
    hint: 'A local name with a colon is written with a folder: ./{source}',
    exitCode: usage,
  },
  COPY_FAILED: {
    phase: 'session',
    template: 'Cannot copy "{path}": {found}, expected files, folders and links that can be read and written',
    hint: 'Correct the path or its permissions, then copy again',
    exitCode: badInput,
  },
  COPY_REFUSED: {
    phase: 'session',
    template: 'Cannot take what the machine sends for "{path}": {found}, expected {expected}',
    hint: 'Nothing outside the target was touched; copy less, or look at what the program has made there',
    exitCode: refused,
  },
  RUNTIME_UNVERIFIABLE: {
    phase: 'runtime',
    template: 'Cannot build "{runtime}" again: {found}, expected a recipe and a lock file',
    hint: 'Its publisher can publish it from its recipe: vmlet runtime publish FOLDER',
    exitCode: badInput,
  },
  SBOM_MISSING: {
    phase: 'runtime',
    template: 'Cannot list what is in "{runtime}": nothing was built or published with it, expected an SBOM',
    hint: 'Build it anew with: vmlet runtime build --no-cache',
    exitCode: notFound,
  },
  RUNTIME_DIFFERS: {
    phase: 'runtime',
    template: 'Cannot vouch for the runtime "{runtime}": {found}, expected what its recipe makes',
    hint: 'It was built by {theirs}, and here by {own}; if they are the same, do not trust it',
    exitCode: badInput,
  },
  RECIPE_UNREADABLE: {
    phase: 'runtime',
    template: 'Cannot read the recipe "{path}": {found}, expected a folder with "recipe.yaml", or a name of {known}',
    hint: 'See how one is written in docs/guides/write-a-recipe.md',
    exitCode: notFound,
  },
  RECIPE_NOT_WRITTEN: {
    phase: 'runtime',
    template:
      'Cannot write a recipe to "{path}": {found}, expected a new folder named by lowercase letters, digits, "." and "-"',
    hint: 'Name another folder; what is there was not touched',
    exitCode: badInput,
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
