import * as z from 'zod';
import { VmletError } from '../errors.ts';

/** Values that one parameter may list. */
const MAX_LIST_VALUES = 500;
/** Of a refused value, as the problem shows it. */
const SHOWN_CHARS = 80;

/**
 * Reads the parameters of a query (or of a path) by a schema made of the helpers below. Members of a list may be
 * separated by commas, and a parameter may be given as `name`, `name[]` or `name[0]`, more than once. An empty value is
 * as good as none, but for the parameters in `keepEmpty`; unknown parameters are ignored.
 *
 * @throws VmletError `API_QUERY_MALFORMED`, which names the first faulty parameter, what was found and what is expected
 */
export function readParams<S extends z.ZodType>(
  schema: S,
  query: unknown,
  { keepEmpty = [] }: { keepEmpty?: readonly string[] } = {},
): z.output<S> {
  const values = joined(query, keepEmpty);
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = String(issue?.path[0] ?? 'query');
  throw malformedParam(field, { found: values[field], wanted: issue?.message ?? 'another value' });
}

/** The error for a parameter that does not go with the others. */
export function malformedParam(
  field: string,
  { found = 'nothing', wanted, cause }: { found?: string | undefined; wanted: string; cause?: unknown },
): VmletError {
  const shown = found.length > SHOWN_CHARS ? `${found.slice(0, SHOWN_CHARS)}…` : found;
  return new VmletError('API_QUERY_MALFORMED', { operands: { field, found: shown, wanted }, cause });
}

/** Several values, separated by commas. `item` reads each; `wanted` says what one is. */
export function listParam<T>(item: z.ZodType<T, string>, { wanted }: { wanted: string }) {
  return z.string().transform((text, context): T[] => {
    const values = [...new Set(text.split(',').filter((value) => value !== ''))];
    const read = values.slice(0, MAX_LIST_VALUES).map((value) => item.safeParse(value));
    if (values.length > MAX_LIST_VALUES || read.some(({ success }) => !success)) {
      context.addIssue({ code: 'custom', message: `at most ${MAX_LIST_VALUES} values, each ${wanted}` });
      return z.NEVER;
    }
    return read.flatMap((value) => (value.success ? [value.data] : []));
  });
}

/** Several texts of any kind. */
export const textsParam = () => listParam(z.string(), { wanted: 'a text' });

/** One of a few names, or several of them in `listParam`. */
export function choiceParam<const T extends readonly [string, ...string[]]>(choices: T) {
  return z.enum(choices, { error: `one of ${choices.join(', ')}` });
}

/** A whole number within bounds. */
export function intParam({ min, max }: { min: number; max: number }) {
  const error = `a whole number from ${min} to ${max}`;
  const digits = z.string().regex(/^-?\d{1,16}$/, { error });
  return digits.transform(Number).pipe(z.number().min(min, { error }).max(max, { error }));
}

/** Seconds since 1970, with fractions. */
export function secondsParam() {
  const error = 'seconds since 1970';
  const digits = z.string().regex(/^\d{1,16}(\.\d{0,16})?(e[+]?\d)?$/i, { error });
  return digits.transform(Number);
}

/** True or false, also as 1 and 0, in any letter case. */
export function booleanParam() {
  const wanted = 'true or false';
  return z
    .string()
    .regex(/^(true|false|1|0)$/i, { error: wanted })
    .transform((text) => text === '1' || text.toLowerCase() === 'true');
}

/** Each parameter under its plain name, its values joined by commas. */
function joined(query: unknown, keepEmpty: readonly string[]): Record<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(query ?? {})) {
    const plain = name.replace(/\[\d*\]$/, '');
    const text = Array.isArray(value) ? value.join(',') : String(value);
    if (text === '' && !keepEmpty.includes(plain)) continue;
    const before = values.get(plain);
    values.set(plain, before === undefined ? text : `${before},${text}`);
  }
  return Object.fromEntries(values);
}
