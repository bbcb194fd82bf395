import { CliError } from './errors.ts';

/** The last id that is one: after it come "no user" and "no change". */
const LAST_UID = 2 ** 32 - 3;

/** A range of user ids, from `FIRST-LAST`. */
export function uidRange(text: string): { first: number; count: number } {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  const range = { first: Number(first), count: Number(last) - Number(first) + 1 };
  // 0 is root.
  if (range.first >= 1 && range.count >= 1 && Number(last) <= LAST_UID) return range;
  const expected = 'FIRST-LAST such as 2147000000-2147483583';
  throw new CliError('OPTION_MALFORMED', {
    operands: { option: '--machine-uids', found: text, expected, help: 'vmlet --help' },
  });
}
