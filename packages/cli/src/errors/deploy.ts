import { EXIT_CODES } from '../exit-codes.ts';
import type { CliErrorEntry } from './entry.ts';

const { badInput, cannot } = EXIT_CODES;

/** Errors of finding out what a folder's program is, of its dependencies, and of packing both. */
export const deployErrors = {
  FOLDER_UNREADABLE: {
    phase: 'pack',
    template: 'Cannot read "{path}": {found}, expected a folder with a program, or one file',
    hint: 'Name the folder or file: vmlet deploy PATH',
    exitCode: badInput,
  },
  FOLDER_EMPTY: {
    phase: 'pack',
    template: 'Cannot pack "{path}": no file in it that belongs to a program, expected at least one',
    hint: 'Name another folder, or see what .vmletignore leaves out: vmlet deploy PATH --list',
    exitCode: badInput,
  },
  FOLDER_LINK_OUTSIDE: {
    phase: 'pack',
    template: 'Cannot pack the link "{path}": it points to "{target}", expected a target inside the folder',
    hint: 'Replace the link by what it points to, or leave it out by a line in .vmletignore',
    exitCode: badInput,
  },
  FOLDER_FILE_TYPE: {
    phase: 'pack',
    template: 'Cannot pack "{path}": it is {found}, expected files, folders and links',
    hint: 'Move it out of the folder, or leave it out by a line in .vmletignore',
    exitCode: badInput,
  },
  FOLDER_CHANGED: {
    phase: 'pack',
    template: 'Cannot pack "{path}": {found}, expected it to stay as it is while it is packed',
    hint: 'Try again when nothing writes to the folder',
    exitCode: badInput,
  },
  FOLDER_TOO_LARGE: {
    phase: 'pack',
    template: 'Cannot pack "{path}": {found}, expected at most {limit}',
    hint: 'Leave out what the program does not need by lines in .vmletignore, then look with: vmlet deploy PATH --list',
    exitCode: badInput,
  },
  ENTRYPOINT_UNKNOWN: {
    phase: 'detect',
    template: 'Cannot guess the program of "{path}": {found}, expected {expected}',
    hint: 'Name it with --entrypoint (main:app, server.js, bin/server) or --command "./server --port 8080"',
    exitCode: badInput,
  },
  RUNTIME_COMMANDLESS: {
    phase: 'detect',
    template:
      'Cannot run what the runtime "{runtime}" starts by itself: it names no command, expected an image that does',
    hint: 'Name a program of yours with --entrypoint or --command, or build the image with an ENTRYPOINT or CMD',
    exitCode: badInput,
  },
  ENTRYPOINT_MALFORMED: {
    phase: 'detect',
    template: 'Cannot use the entrypoint "{entrypoint}": {found}, expected {expected}',
    hint: 'Write it as main:app (Python), server.js (Node.js) or bin/server (an executable); with arguments: --command',
    exitCode: badInput,
  },
  EXECUTABLE_UNFIT: {
    phase: 'detect',
    template: 'Cannot run "{path}": it is built for {found}, expected Linux on x86-64',
    hint: '{next}',
    exitCode: badInput,
  },
  COMMAND_MALFORMED: {
    phase: 'detect',
    template: 'Cannot use the command "{command}": {found}, expected a program and its arguments',
    hint: 'Write it as in a terminal, for example --command "./server --port 8080"; it serves on $PORT',
    exitCode: badInput,
  },
  PACKAGE_UNREADABLE: {
    phase: 'detect',
    template: 'Cannot read "{path}": {found}, expected an object in JSON',
    hint: 'Correct the file; npm shows what is wrong with: npm pkg get name',
    exitCode: badInput,
  },
  MODULES_MISSING: {
    phase: 'install',
    template: 'Cannot use the node_modules of "{path}": {found}, expected what package.json asks for',
    hint: 'Install them with npm install, or let vmlet install them: leave --no-install away',
    exitCode: badInput,
  },
  BUNDLE_FAILED: {
    phase: 'pack',
    template: 'Cannot bundle "{entrypoint}": {found}, expected every import to resolve',
    hint: 'Run npm install where something is missing, or deploy without --bundle',
    exitCode: badInput,
  },
  BUNDLE_UNSUITED: {
    phase: 'pack',
    template: 'Cannot bundle "{entrypoint}": it is {found}, expected a module for Node.js',
    hint: 'Leave --bundle away, or name the module with --entrypoint server.js',
    exitCode: badInput,
  },
  BUNDLE_NEEDED: {
    phase: 'detect',
    template: 'Cannot load "{entrypoint}": Node.js reads no JSX, expected JavaScript or TypeScript',
    hint: 'Compile it before, or let vmlet do it: --bundle',
    exitCode: badInput,
  },
  WATCH_FAILED: {
    phase: 'host',
    template: 'Cannot watch "{path}": {found}, expected the system to tell of changes',
    hint: 'Raise fs.inotify.max_user_watches, or deploy by hand when something has changed',
    exitCode: cannot,
  },
  ARCHIVE_UNREADABLE: {
    phase: 'install',
    template: 'Cannot read the installed packages: {found}, expected a zip of them',
    hint: 'Delete "{path}" if it exists, then deploy again',
    exitCode: badInput,
  },
} as const satisfies Record<string, CliErrorEntry>;
