import { frameOf, shownText } from './frame.ts';
import { type MemberPath, type Place, placeOf, type RecipeNode } from './node.ts';

/** As much of a member's name as a fault says. */
const MAX_MEMBER_LENGTH = 200;

/** One thing that is wrong with a recipe. */
export interface Fault {
  place: Place;
  /** The member that it is about: `filesystem.format`. Empty for the file itself. */
  member: string;
  /** What was expected, and what was found; further lines are what a command said of it. */
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

  /** Each fault with the lines of the recipe that it is about, and a caret; empty where it is about no line. */
  get detail(): string {
    const isOne = this.faults.length === 1;
    return this.faults
      .map((fault) => {
        const [words = '', ...said] = wordsOf(fault).split('\n');
        return [...(isOne ? [] : [words]), frameOf(fault.place), ...said].join('\n');
      })
      .join('\n\n');
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
  const about = member === '' ? '' : `"${member.slice(0, MAX_MEMBER_LENGTH)}": `;
  return `${source.path}:${line}:${column}: ${`${about}${message}`.split('\n').map(shownText).join('\n')}`;
}
