/** What the exit status of `vmlet` says. A number is public and never gets another meaning. */
export const EXIT_CODES = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  programFailed: 5,
  unreachable: 6,
  badInput: 7,
  cannot: 8,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** The table of `--help` and of the README, in the order of the numbers. */
export const EXIT_CODE_MEANINGS: readonly (readonly [ExitCode, string])[] = [
  [EXIT_CODES.ok, 'done'],
  [EXIT_CODES.unexpected, 'an error nobody expected'],
  [EXIT_CODES.usage, 'the command line is not understood'],
  [EXIT_CODES.notFound, 'what was named is not there'],
  [EXIT_CODES.refused, 'refused: address or permission'],
  [EXIT_CODES.programFailed, 'the program failed, or did not answer with a 2xx'],
  [EXIT_CODES.unreachable, 'the node is not running or not reachable'],
  [EXIT_CODES.badInput, 'bad input: folder, zip, requirements, key, message'],
  [EXIT_CODES.cannot, 'this node or host cannot do it'],
  [EXIT_CODES.interrupted, 'interrupted'],
];

/** The table as text, for the end of each command's help. */
export function exitCodeHelp(): string {
  const rows = EXIT_CODE_MEANINGS.map(([code, meaning]) => `  ${String(code).padEnd(4)} ${meaning}`);
  return ['Exit status:', ...rows].join('\n');
}
