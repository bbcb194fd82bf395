import type { ExitCode } from '../exit-codes.ts';

/** One kind of error of the command line. */
export interface CliErrorEntry {
  readonly phase:
    | 'usage'
    | 'pack'
    | 'detect'
    | 'runtime'
    | 'install'
    | 'publish'
    | 'connect'
    | 'invoke'
    | 'host'
    | 'deploy'
    | 'session'
    | 'config';
  /** `Cannot <verb> <operand>: <state found>, expected <state wanted>`, with `{operand}` places. */
  readonly template: string;
  /** The next step, with `{operand}` places. */
  readonly hint: string;
  readonly exitCode: ExitCode;
}
