import { deployErrors } from './errors/deploy.ts';
import type { CliErrorEntry } from './errors/entry.ts';
import { operateErrors } from './errors/operate.ts';
import { EXIT_CODES } from './exit-codes.ts';

export type { CliErrorEntry } from './errors/entry.ts';

const { usage, notFound, refused, programFailed, unreachable, badInput, cannot, interrupted } = EXIT_CODES;

const usageErrors = {
  USAGE: {
    phase: 'usage',
    template: 'Cannot read the command line: {found}, expected the form that --help shows',
    hint: 'See: {help}',
    exitCode: usage,
  },
  COMMAND_UNKNOWN: {
    phase: 'usage',
    template: 'Cannot run "{command}": no such command, expected one of {commands}',
    hint: '{next}',
    exitCode: usage,
  },
  OPTION_MALFORMED: {
    phase: 'usage',
    template: 'Cannot read {option}: found "{found}", expected {expected}',
    hint: 'See: {help}',
    exitCode: usage,
  },
  CONFIRMATION_MISSING: {
    phase: 'usage',
    template: 'Cannot remove "{program}": nobody is there to be asked, expected a terminal or --yes',
    hint: 'Add --yes to remove it without a question',
    exitCode: usage,
  },
} as const satisfies Record<string, CliErrorEntry>;

const nodeErrors = {
  NODE_NOT_RUNNING: {
    phase: 'connect',
    template: 'Cannot find a node: no "node.json" in "{home}", expected a running node',
    hint: 'Start one in another terminal with: vmlet up, or name one with --node URL',
    exitCode: unreachable,
  },
  NODE_UNREACHABLE: {
    phase: 'connect',
    template: 'Cannot reach the node at "{node}": {found}, expected it to run',
    hint: 'Start it in another terminal with: vmlet up, or name another with --node URL',
    exitCode: unreachable,
  },
  NODE_URL_MALFORMED: {
    phase: 'connect',
    template: 'Cannot use the node "{node}": {found}, expected a URL such as "http://127.0.0.1:4020"',
    hint: 'Correct --node, VMLET_NODE, or the setting: vmlet config get node',
    exitCode: usage,
  },
  OWNER_SOCKET_NEEDED: {
    phase: 'connect',
    template: 'Cannot ask "{node}" to {what}: only its URL is known, expected its owner socket',
    hint: 'Run it on the machine of the node, with --home or VMLET_HOME naming the home of the node{instead}',
    exitCode: cannot,
  },
  ANSWER_BROKEN: {
    phase: 'connect',
    template: 'Cannot read the answer of "{node}": {found}, expected a whole answer',
    hint: 'Look at the log of the node, then try again',
    exitCode: unreachable,
  },
  ANSWER_UNEXPECTED: {
    phase: 'connect',
    template: 'Cannot read the answer of "{node}" to "{request}": {found}, expected {expected}',
    hint: 'Check that a vmlet node of this version answers there',
    exitCode: cannot,
  },
} as const satisfies Record<string, CliErrorEntry>;

const programErrors = {
  PROGRAM_UNKNOWN: {
    phase: 'connect',
    template: 'Cannot find the program "{program}": {found}, expected a name, an item_hash or the start of one',
    hint: 'See what is deployed with: vmlet ls',
    exitCode: notFound,
  },
  PROGRAM_AMBIGUOUS: {
    phase: 'connect',
    template: 'Cannot tell which program "{program}" is: {found}, expected one',
    hint: 'Give more of the item_hash, as printed by: vmlet ls',
    exitCode: notFound,
  },
  PROGRAM_FOREIGN: {
    phase: 'publish',
    template: 'Cannot remove "{program}": it belongs to "{owner}", expected your own address "{address}"',
    hint: 'Sign with the key of its owner: set VMLET_CONFIG to the folder that holds it',
    exitCode: refused,
  },
  PROGRAM_ANSWERED: {
    phase: 'invoke',
    template: 'Cannot accept the answer: the program answered {status}, expected a 2xx',
    hint: '{next}',
    exitCode: programFailed,
  },
  RUNTIME_UNKNOWN: {
    phase: 'runtime',
    template: 'Cannot find the runtime "{runtime}": {found}, expected one of {known}',
    hint: 'Name a runtime, or give the item_hash of its STORE message',
    exitCode: notFound,
  },
  RUNTIME_UNREADABLE: {
    phase: 'runtime',
    template: 'Cannot use "{path}" for a runtime: {found}, expected {expected}',
    hint: 'See docs/formats/manifest.md, and docs/guides/bring-your-own-init.md for an example',
    exitCode: badInput,
  },
  RUNTIME_VERSION_TAKEN: {
    phase: 'publish',
    template:
      'Cannot publish "{name}@{version}": you have published other bytes so ("{itemHash}"), expected a new version',
    hint: 'Give it another version: --name {name}@VERSION',
    exitCode: refused,
  },
  OPERATOR_ONLY: {
    phase: 'publish',
    template: 'Cannot set aliases on "{node}": its operator is "{operator}", expected your own address "{address}"',
    hint: 'Sign with the key of the operator: set VMLET_CONFIG to the folder that holds it',
    exitCode: refused,
  },
  IMPORT_REFUSED: {
    phase: 'runtime',
    template: 'Cannot import "{itemHash}" from "{node}": {found}, expected {expected}',
    hint: 'Nothing of it was kept; look at the message with: vmlet message show {itemHash} --node {node}',
    exitCode: badInput,
  },
  IMPORT_STALLED: {
    phase: 'runtime',
    template: 'Cannot import "{itemHash}" from "{node}": no byte came for {seconds} s, expected the file',
    hint: 'Run the command again, or import from another node; nothing was kept',
    exitCode: unreachable,
  },
  INSTALL_FAILED: {
    phase: 'install',
    template: 'Cannot install "{file}": {found}, expected {installer} to succeed inside the runtime',
    hint: '{next}',
    exitCode: badInput,
  },
  MESSAGE_REJECTED: {
    phase: 'publish',
    template:
      'Cannot publish the {type} message "{itemHash}": the node has it as {status} ({reasons}), expected processed',
    hint: '{next}',
    exitCode: badInput,
  },
  DEMO_FAILED: {
    phase: 'invoke',
    template: 'Cannot finish the demo: its program answered {status}, expected 200',
    hint: 'See: vmlet doctor',
    exitCode: programFailed,
  },
} as const satisfies Record<string, CliErrorEntry>;

const hostErrors = {
  RUNTIME_UNFIT: {
    phase: 'runtime',
    template: 'Cannot vouch for the runtime "{runtime}": {found}, expected {expected}',
    hint: 'Do what stands below each finding, build the image anew, and check it again',
    exitCode: badInput,
  },
  HOST_UNFIT: {
    phase: 'host',
    template: 'Cannot run programs here: {found}, expected every check to pass',
    hint: 'Follow the fixes above, then run again: vmlet doctor',
    exitCode: cannot,
  },
  INPUT_UNREADABLE: {
    phase: 'usage',
    template: 'Cannot read "{path}": {found}, expected a file to send',
    hint: 'Name a file after @, or - for standard input',
    exitCode: badInput,
  },
  OUTPUT_FAILED: {
    phase: 'host',
    template: 'Cannot write the answer: {found}, expected standard output to take it',
    hint: 'Free space where the output goes, then run the command again',
    exitCode: cannot,
  },
  INTERRUPTED: {
    phase: 'host',
    template: 'Cannot finish the command: interrupted by {signal}, expected it to run to its end',
    hint: 'Run the command again; what is done already is not done twice',
    exitCode: interrupted,
  },
} as const satisfies Record<string, CliErrorEntry>;

/** Every error that the command line itself raises. A code is public and never gets another meaning. */
export const CLI_ERRORS = {
  ...usageErrors,
  ...deployErrors,
  ...nodeErrors,
  ...programErrors,
  ...operateErrors,
  ...hostErrors,
};

export type CliErrorCode = keyof typeof CLI_ERRORS;

export interface CliErrorContext {
  operands?: Readonly<Record<string, string | number>>;
  cause?: unknown;
  /** Several lines: the output of pip, a traceback. */
  detail?: string;
}

/** An error from the catalogue of the command line. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;
  readonly entry: CliErrorEntry;
  readonly next: string;
  readonly detail: string | undefined;

  constructor(code: CliErrorCode, context: CliErrorContext = {}) {
    const entry: CliErrorEntry = CLI_ERRORS[code];
    const operands = context.operands ?? {};
    super(render(entry.template, operands), context.cause === undefined ? {} : { cause: context.cause });
    this.code = code;
    this.entry = entry;
    this.next = render(entry.hint, operands);
    this.detail = context.detail;
  }
}

/** Fills `{name}` places; a missing operand stays visible as `{name}`, so that a test can find it. */
function render(template: string, operands: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{(\w+)\}/g, (place, name: string) => String(operands[name] ?? place));
}
