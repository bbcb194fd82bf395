/** Names that a mistyped one may have meant. */

/** A clause for the end of a message, such as `; near files: server.js`; empty where there is nothing to name. */
export function nearNames(name: string, candidates: readonly string[], noun: string): string {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1));
  const close = ranked.filter((each) => each.distance <= Math.max(name.length, each.candidate.length) / 2).slice(0, 3);
  const named = (close.length > 0 ? close : ranked.slice(0, 5)).map((each) => each.candidate);
  return named.length === 0 ? '' : `; near ${noun}: ${named.join(', ')}`;
}

/** Edits from `from` to `to`: characters put in, taken out or changed. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let at = 0; at < from.length; at += 1) {
    const next = [at + 1];
    for (let index = 0; index < to.length; index += 1) {
      const kept = (row[index] ?? 0) + (from[at] === to[index] ? 0 : 1);
      next.push(Math.min(kept, (row[index + 1] ?? 0) + 1, (next[index] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
