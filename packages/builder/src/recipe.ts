import { readFile } from 'node:fs/promises';
import { LineCounter, parseDocument } from 'yaml';
import { type Recipe, recipeSchema } from './schema.ts';

export type { Recipe } from './schema.ts';

/** A recipe that cannot be used; the message names file, line and what was expected. */
export class RecipeError extends Error {
  override readonly name = 'RecipeError';
}

/**
 * Reads and checks a recipe file.
 * @throws RecipeError with `file:line: ` in front of each fault found
 */
export async function readRecipe(path: string): Promise<Recipe> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new RecipeError(`${path}:1: ${wordsOf(cause)}`, { cause });
  });
  return parseRecipe(text, path);
}

/** Checks a recipe's text. `path` is only named in errors. */
export function parseRecipe(text: string, path: string): Recipe {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const yamlFault = document.errors[0];
  if (yamlFault) {
    throw new RecipeError(`${path}:${lines.linePos(yamlFault.pos[0]).line}: ${yamlFault.message.split('\n')[0]}`);
  }
  const parsed = recipeSchema.safeParse(plainValue(document, path));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const at = issue.path.length > 0 ? `"${issue.path.join('.')}": ` : '';
    // A key that is not known has no path of its own, but a line.
    const key = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
    return `${path}:${lineOf(document, [...issue.path, ...key], lines)}: ${at}${issue.message}`;
  });
  throw new RecipeError(faults.join('\n'));
}

/** @throws RecipeError for aliases that go too far */
function plainValue(document: ReturnType<typeof parseDocument>, path: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw new RecipeError(`${path}:1: ${wordsOf(cause)}`, { cause });
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The line of the deepest node on `path` that exists; a missing key is reported at its parent. */
function lineOf(document: ReturnType<typeof parseDocument>, path: PropertyKey[], lines: LineCounter): number {
  for (let depth = path.length; depth > 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true);
    if (node && typeof node === 'object' && 'range' in node && Array.isArray(node.range)) {
      return lines.linePos(Number(node.range[0])).line;
    }
  }
  return 1;
}
