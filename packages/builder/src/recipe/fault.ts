import { type MemberPath, type Place, placeOf, type RecipeNode } from './node.ts';

/** One thing that is wrong with a recipe. */
export interface Fault {
  place: Place;
  /** The member that it is about: `filesystem.format`. Empty for the file itself. */
  member: string;
  /** What was expected, and what was found. */
  message: string;
}

/** A recipe that cannot be used; the message names file, line, column and what was expected, one fault a line. */
export class RecipeError extends Error {
  override readonly name = 'RecipeError';
  /** Where they are, as far as that is known. */
  readonly faults: readonly Fault[];

  constructor(message: string, options: ErrorOptions & { faults?: readonly Fault[] } = {}) {
    super(message, options);
    this.faults = options.faults ?? [];
  }
}

/** @returns an error of these faults, in the order of the file */
export function refusal(faults: readonly Fault[], options: ErrorOptions = {}): RecipeError {
  const sorted = faults.toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
  return new RecipeError(sorted.map(wordsOf).join('\n'), { ...options, faults: sorted });
}

/** A fault of the member at `path`. */
export function faultAt(root: RecipeNode, path: MemberPath, message: string): Fault {
  return { place: placeOf(root, path), member: path.map(String).join('.'), message };
}

function wordsOf({ place, member, message }: Fault): string {
  const { source, line, column } = place;
  return `${source.path}:${line}:${column}: ${member === '' ? '' : `"${member}": `}${message}`;
}
