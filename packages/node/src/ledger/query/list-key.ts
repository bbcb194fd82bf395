/** Where something stands in a list: `sort` descending, then `hash` ascending by code unit. */
export interface ListKey {
  readonly sort: number;
  readonly hash: string;
}

/** A hash that comes after every other. */
export const LAST_HASH = '~';

/** Less than 0 if `a` comes before `b`. */
export function compareKeys(a: ListKey, b: ListKey): number {
  if (a.sort !== b.sort) return b.sort - a.sort;
  if (a.hash === b.hash) return 0;
  return a.hash < b.hash ? -1 : 1;
}
