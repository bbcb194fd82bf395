/** Turns what a schema reports into one error with a JSON path, the state found and the state wanted. */
import type * as z from 'zod';
import { MessageError } from './errors.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

const MAX_QUOTED_CHARS = 64;

/**
 * Reads `value` with `schema`. `operand` names the value in the error, as in "message" or "content of STORE".
 * Throws MessageError: the first fault only, for a sender mends one at a time.
 */
export function readWith<S extends z.ZodType>(
  schema: S,
  value: unknown,
  { operand }: { operand: string },
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const first = result.error.issues[0];
  if (first === undefined) throw new TypeError('a failed read carries at least one issue');
  throw errorOf(first, { operand, root: value, base: [] });
}

interface Place {
  readonly operand: string;
  readonly root: unknown;
  readonly base: Path;
}

function errorOf(issue: Issue, place: Place): MessageError {
  const at = [...place.base, ...issue.path];
  const { operand } = place;
  if (issue.code === 'unrecognized_keys') {
    return new MessageError('MEMBER_UNKNOWN', { operand, path: jsonPath([...at, issue.keys[0] ?? '']) });
  }
  if (issue.code === 'invalid_union') {
    const closest = closestBranch(issue.errors);
    if (closest !== undefined) return errorOf(closest, { ...place, base: at });
  }
  if (issue.code === 'invalid_key') {
    const inner = issue.issues[0];
    const expected = inner === undefined ? 'another key' : `a key with ${wanted(inner)}`;
    return new MessageError('MEMBER_MISMATCH', { operand, path: jsonPath(at), found: 'a key out of bounds', expected });
  }
  const value = valueAt(place.root, at);
  const path = jsonPath(at);
  const expected = wanted(issue);
  if (value === undefined) return new MessageError('MEMBER_MISSING', { operand, path, expected });
  return new MessageError('MEMBER_MISMATCH', { operand, path, found: describe(value), expected });
}

/** The fault of the form that fits best: the one with the fewest faults, unknown members weighing one each. */
function closestBranch(branches: Issue[][]): Issue | undefined {
  const weight = (branch: Issue[]) =>
    branch.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1), 0);
  return branches.toSorted((a, b) => weight(a) - weight(b))[0]?.[0];
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'an array',
};

const UNITS: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' };

function wanted(issue: Issue): string {
  if (issue.code === 'invalid_type') return KINDS[issue.expected] ?? issue.expected;
  if (issue.code === 'invalid_value') return issue.values.map((value) => JSON.stringify(value)).join(' or ');
  if (issue.code === 'too_big') return `at most ${issue.maximum}${UNITS[issue.origin] ?? ''}`;
  if (issue.code === 'too_small') return `at least ${issue.minimum}${UNITS[issue.origin] ?? ''}`;
  return issue.message;
}

/** Names a value in an error: short, quoted, and never more than a line, for it comes from a stranger. */
function describe(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `an array of ${value.length} entries`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

function quote(text: string): string {
  return text.length <= MAX_QUOTED_CHARS
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, MAX_QUOTED_CHARS))} and ${text.length - MAX_QUOTED_CHARS} characters more`;
}

function jsonPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const name = String(key);
    return /^[A-Za-z_]\w{0,63}$/.test(name)
      ? `${text}.${name}`
      : `${text}[${JSON.stringify(name.slice(0, MAX_QUOTED_CHARS))}]`;
  }, '$');
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}
