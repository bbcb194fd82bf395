/** JSON with one form per value, for hashing values that have no text of their own. */

/**
 * Writes `value` compactly with the members of every object sorted by code point, as a node does before it hashes what
 * `add_json` receives. Never use it on an `item_content`, whose own text counts. `value` must come from JSON.parse.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).toSorted(([a], [b]) => compareCodePoints(a, b));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
}

/** Order by code point, which is UTF-8 order. The order of `<` is that of UTF-16 units: it puts U+10000 before U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  const right = Array.from(b, codePoint);
  const left = Array.from(a, codePoint);
  const at = left.findIndex((point, i) => point !== right[i]);
  return at === -1 ? left.length - right.length : (left[at] ?? 0) - (right[at] ?? -1);
}

function codePoint(char: string): number {
  return char.codePointAt(0) ?? 0;
}
