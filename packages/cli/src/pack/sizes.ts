import { formatBytes } from '../terminal-text.ts';

/** How many folders and files an error and `--list` name. */
const SHOWN = 10;
/** A folder is named in place of those in it unless one of them is most of it. */
const MOST = 0.8;
const NODE_MODULES = /(?:^|\/)node_modules(?:\/@[^/]+)?$/;

interface Sized {
  readonly path: string;
  readonly sizeBytes: number;
}

/** The largest of what is packed: folders, named once, and files that stand out of theirs. The largest first. */
export function largestOf(files: readonly Sized[]): Sized[] {
  const totals = new Map<string, number>();
  for (const { path, sizeBytes } of files) {
    for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
      const folder = path.slice(0, at + 1);
      totals.set(folder, (totals.get(folder) ?? 0) + sizeBytes);
    }
    totals.set(path, (totals.get(path) ?? 0) + sizeBytes);
  }
  const ranked = [...totals].map(([path, sizeBytes]) => ({ path, sizeBytes })).filter(({ sizeBytes }) => sizeBytes > 0);
  ranked.sort((a, b) => b.sizeBytes - a.sizeBytes || (a.path < b.path ? -1 : 1));
  const chosen: Sized[] = [];
  for (const entry of ranked) {
    if (chosen.length === SHOWN) break;
    // A folder that only holds a larger one's bytes, and what lies in a folder that is named already, say nothing new.
    const isWithin = chosen.some(({ path }) => path.endsWith('/') && entry.path.startsWith(path));
    const isShell = ranked.some((other) => isInside(other, entry) && other.sizeBytes >= entry.sizeBytes * MOST);
    if (!isWithin && !isShell && !NODE_MODULES.test(entry.path.slice(0, -1))) chosen.push(entry);
  }
  return chosen;
}

/** The largest, a line each, and the lines of .vmletignore that would leave them out. */
export function largestAsText(files: readonly Sized[]): string {
  const largest = largestOf(files);
  const lines = largest.map(({ path, sizeBytes }) => `${formatBytes(sizeBytes).padStart(8)}  ${path}`);
  const rules = largest.slice(0, 3).map(({ path }) => `/${path}`);
  return ['The largest folders and files:', ...lines, 'Left out by such lines in .vmletignore:', ...rules].join('\n');
}

function isInside(inner: Sized, outer: Sized): boolean {
  return (
    outer.path.endsWith('/') &&
    inner.path.endsWith('/') &&
    inner.path !== outer.path &&
    inner.path.startsWith(outer.path)
  );
}
