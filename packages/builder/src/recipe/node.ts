/** A file of a recipe, as it was read. */
export interface Source {
  path: string;
  text: string;
}

/** Where something stands: `line` and `column` begin at 1. */
export interface Place {
  source: Source;
  line: number;
  column: number;
}

/** A value of a recipe that knows where it was written: merged recipes are of several files. */
export type RecipeNode = { place: Place; keyPlace?: Place } & (
  | { kind: 'scalar'; value: unknown /** As it is written, where it is no text. */; written?: string }
  | { kind: 'list'; items: RecipeNode[] }
  | { kind: 'map'; members: Map<string, RecipeNode> }
);

/** Steps from the whole recipe to a value in it. */
export type MemberPath = readonly PropertyKey[];

/** The value itself, as the schemas take it. */
export function plainValue(node: RecipeNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plainValue);
  return Object.fromEntries([...node.members].map(([name, member]) => [name, plainValue(member)]));
}

/** @returns the node at a path, or undefined where there is none */
export function nodeAt(node: RecipeNode, path: MemberPath): RecipeNode | undefined {
  let at: RecipeNode | undefined = node;
  for (const step of path) at = at === undefined ? undefined : childOf(at, step);
  return at;
}

/** Where a value begins; what is missing is missing from the deepest one above it that exists. */
export function placeOf(root: RecipeNode, path: MemberPath): Place {
  for (let depth = path.length; depth > 0; depth--) {
    const node = nodeAt(root, path.slice(0, depth));
    if (node === undefined) continue;
    // A map begins in the line below its name, which is where one looks for it.
    return depth < path.length || node.kind !== 'scalar' ? (node.keyPlace ?? node.place) : node.place;
  }
  return root.place;
}

function childOf(node: RecipeNode, step: PropertyKey): RecipeNode | undefined {
  if (node.kind === 'list') return typeof step === 'number' ? node.items[step] : undefined;
  return node.kind === 'map' && typeof step === 'string' ? node.members.get(step) : undefined;
}
