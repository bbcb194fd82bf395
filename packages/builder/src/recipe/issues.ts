import { z } from 'zod';
import { type Fault, faultAt } from './fault.ts';
import { type MemberPath, nodeAt, type RecipeNode } from './node.ts';
import { didYouMean } from './suggest.ts';

type Issue = z.core.$ZodIssue;

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  int: 'a whole number',
  number: 'a number',
};
/** As much of a wrong value as an error quotes. */
const MAX_QUOTED_LENGTH = 60;

/** What zod found, in the words of a recipe's author. */
export function faultsOf(schema: z.ZodType, error: z.ZodError, root: RecipeNode): Fault[] {
  return error.issues.flatMap((issue) => faultsOfIssue(issue, { schema, root, above: [] }));
}

interface Context {
  schema: z.ZodType;
  root: RecipeNode;
  /** Where the issue's own path begins. */
  above: MemberPath;
}

function faultsOfIssue(issue: Issue, context: Context): Fault[] {
  const { schema, root, above } = context;
  const path = [...above, ...issue.path];
  const found = `found ${shown(nodeAt(root, path))}`;
  const fault = (message: string) => [faultAt(root, path, message)];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const known = membersAt(schema, path);
        const meant = didYouMean(key, known);
        const wanted = meant === undefined ? `expected one of ${known.join(', ')}` : `did you mean "${meant}"?`;
        return faultOfName(root, [...path, key], `unknown member, ${wanted}`);
      });
    case 'invalid_union':
      return faultsOfUnion(issue, { ...context, above: path }) ?? fault(`expected ${alternatives(issue)}, ${found}`);
    case 'invalid_key':
      return issue.issues.map((inner) =>
        faultOfName(root, path, `${expectation(inner)}, found ${quoted(String(path.at(-1)))}`),
      );
    case 'invalid_value': {
      const values = issue.values.map((value) => (typeof value === 'string' ? quoted(value) : String(value)));
      const node = nodeAt(root, path);
      const word = node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : '';
      const meant = values.length === 1 ? undefined : didYouMean(word, issue.values.map(String));
      const wanted = values.length === 1 ? values[0] : `one of ${values.join(', ')}`;
      return fault(`expected ${wanted}, ${found}${meant === undefined ? '' : `: did you mean "${meant}"?`}`);
    }
    default:
      return fault(`${expectation(issue)}, ${found}${quotingHelp(issue, nodeAt(root, path))}`);
  }
}

/** Points at the member's name, and not at what it is set to. */
function faultOfName(root: RecipeNode, path: MemberPath, message: string): Fault {
  const fault = faultAt(root, path, message);
  return { ...fault, place: nodeAt(root, path)?.keyPlace ?? fault.place };
}

/** What is wrong within that alternative which has the right kind; undefined where none has. */
function faultsOfUnion(issue: z.core.$ZodIssueInvalidUnion, context: Context): Fault[] | undefined {
  const fitting = issue.errors.filter((issues) =>
    issues.every(({ code, path }) => code !== 'invalid_type' || path.length > 0),
  );
  const [only] = fitting;
  return fitting.length === 1 ? only?.flatMap((inner) => faultsOfIssue(inner, context)) : undefined;
}

function alternatives(issue: z.core.$ZodIssueInvalidUnion): string {
  const kinds = issue.errors.flatMap((issues) =>
    issues.flatMap((inner) => (inner.code === 'invalid_type' ? [KINDS[inner.expected] ?? inner.expected] : [])),
  );
  return [...new Set(kinds)].join(' or ');
}

function expectation(issue: Issue): string {
  if (issue.code === 'invalid_type') return `expected ${KINDS[issue.expected] ?? issue.expected}`;
  if (issue.code === 'too_big' || issue.code === 'too_small') {
    const [bound, word] = issue.code === 'too_big' ? [issue.maximum, 'at most'] : [issue.minimum, 'at least'];
    const unit =
      { string: ` character${bound === 1 ? '' : 's'}`, array: bound === 1 ? ' entry' : ' entries' }[
        String(issue.origin)
      ] ?? '';
    if (unit === '' && issue.inclusive === false)
      return `expected ${word === 'at most' ? 'less' : 'more'} than ${bound}`;
    return `expected ${word} ${bound}${unit}`;
  }
  return issue.message;
}

/** `0755`, `3.10` and `true` are no text unless they are quoted; what was written is not what YAML makes of it. */
function quotingHelp(issue: Issue, node: RecipeNode | undefined): string {
  if (issue.code !== 'invalid_type' || issue.expected !== 'string') return '';
  return node?.kind === 'scalar' && node.written !== undefined ? `: write "${node.written}" in quotes` : '';
}

function shown(node: RecipeNode | undefined): string {
  if (node === undefined) return 'nothing';
  if (node.kind !== 'scalar') return sizeOf(node);
  if (node.value === null) return 'nothing';
  return typeof node.value === 'string' ? quoted(node.value) : (node.written ?? String(node.value));
}

function sizeOf(node: RecipeNode & { kind: 'list' | 'map' }): string {
  const count = node.kind === 'list' ? node.items.length : node.members.size;
  return `a ${node.kind} of ${count}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text);
}

/** The names that may stand in a map of the schema. */
function membersAt(schema: z.ZodType, path: MemberPath): string[] {
  let at: z.ZodType[] = [schema];
  for (const step of path) at = at.flatMap((one) => inside(one, step));
  return at.flatMap(unwrapped).flatMap((one) => {
    if (one instanceof z.ZodObject) return Object.keys(one.shape);
    return one instanceof z.ZodRecord && one.keyType instanceof z.ZodEnum ? one.keyType.options.map(String) : [];
  });
}

function inside(schema: z.ZodType, step: PropertyKey): z.ZodType[] {
  return unwrapped(schema).flatMap((one): z.ZodType[] => {
    if (one instanceof z.ZodObject) return typeof step === 'string' && step in one.shape ? [one.shape[step]] : [];
    if (one instanceof z.ZodArray) return one.element instanceof z.ZodType ? [one.element] : [];
    return one instanceof z.ZodRecord && one.valueType instanceof z.ZodType ? [one.valueType] : [];
  });
}

function unwrapped(schema: z.core.$ZodType): z.ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return unwrapped(schema.unwrap());
  if (schema instanceof z.ZodPipe) return unwrapped(schema.in);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((one) => unwrapped(one));
  return schema instanceof z.ZodType ? [schema] : [];
}
