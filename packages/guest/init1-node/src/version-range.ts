/** Ranges of versions as npm reads them, without prereleases: Node.js releases have none. */

/** Major, minor, patch. */
export type Version = readonly [number, number, number];

/** Lower bound included, upper one not; a bound that is missing is not there. */
interface Span {
  from?: Version;
  below?: Version;
}

const NUMBER = '(?:0|[1-9][0-9]{0,8})';
const PART = `(?:${NUMBER}|[xX*])`;
const COMPARATOR = new RegExp(
  `^(>=|<=|>|<|=|~>|~|\\^)?[v=]*(${PART})(?:\\.(${PART})(?:\\.(${PART})(-[0-9A-Za-z.-]+)?(?:\\+[0-9A-Za-z.-]+)?)?)?$`,
);
const NOTHING: Span = { below: [0, 0, 0] };

/** `22.23.3` or `v22.23.3`; undefined for what is no whole version, prereleases included. */
export function readVersion(text: string): Version | undefined {
  const found = new RegExp(`^v?(${NUMBER})\\.(${NUMBER})\\.(${NUMBER})$`).exec(text);
  return found === null ? undefined : [Number(found[1]), Number(found[2]), Number(found[3])];
}

/** Negative when `a` comes before `b`. */
export function compareVersions(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/**
 * Reads a range: `^22.5`, `~22.5`, `>=20 <24`, `22.x`, `20 - 22`, `20 || 22`, `*` or nothing.
 * @returns whether a version is in it; undefined for what is no range
 */
export function readRange(range: string): ((version: Version) => boolean) | undefined {
  const alternatives = range.split('||').map(readAlternative);
  const spans = alternatives.filter((alternative): alternative is Span[] => alternative !== undefined);
  if (spans.length < alternatives.length) return undefined;
  return (version) => spans.some((all) => all.every((span) => isIn(version, span)));
}

function isIn(version: Version, { from, below }: Span): boolean {
  const isAbove = from === undefined || compareVersions(version, from) >= 0;
  return isAbove && (below === undefined || compareVersions(version, below) < 0);
}

/** All comparators between two `||`: a version has to be in each span. */
function readAlternative(text: string): Span[] | undefined {
  const hyphen = /^\s*(\S+)\s+-\s+(\S+)\s*$/.exec(text);
  const joined = hyphen === null ? text.replace(/([<>=~^])\s+(?=[v\dxX*])/g, '$1') : `>=${hyphen[1]} <=${hyphen[2]}`;
  const spans: Span[] = [];
  for (const comparator of joined.split(/\s+/).filter((word) => word !== '')) {
    const span = readComparator(comparator);
    if (span === undefined) return undefined;
    spans.push(span);
  }
  return spans;
}

function readComparator(text: string): Span | undefined {
  const found = COMPARATOR.exec(text);
  if (found === null) return undefined;
  const [, operator = '', ...parts] = found;
  const numbers: number[] = [];
  for (const part of parts.slice(0, 3)) {
    if (part === undefined || /^[xX*]$/.test(part)) break;
    numbers.push(Number(part));
  }
  return spanOf(operator, numbers, parts[3] !== undefined);
}

/** `first`: the lowest version of the partial one; `next`: the lowest that comes after all of it. */
function spanOf(operator: string, numbers: readonly number[], isPrerelease: boolean): Span {
  const [major = 0, minor = 0, patch = 0] = numbers;
  const first: Version = [major, minor, patch];
  if (numbers.length === 0) return operator === '<' || operator === '>' ? NOTHING : {};
  // A prerelease comes just before its release, and no version is one.
  const next = isPrerelease ? first : after(numbers);
  switch (operator) {
    case '>=':
      return { from: first };
    case '>':
      return { from: next };
    case '<':
      return { below: first };
    case '<=':
      return { below: next };
    case '~':
    case '~>':
      return { from: first, below: after(numbers.slice(0, 2)) };
    case '^':
      return { from: first, below: after(numbers.slice(0, keptBy(numbers))) };
    default:
      return { from: first, below: next };
  }
}

function after(numbers: readonly number[]): Version {
  const [major = 0, minor = 0, patch = 0] = numbers;
  if (numbers.length === 1) return [major + 1, 0, 0];
  return numbers.length === 2 ? [major, minor + 1, 0] : [major, minor, patch + 1];
}

/** How many numbers `^` keeps: up to the first that is not 0. */
function keptBy(numbers: readonly number[]): number {
  const first = numbers.findIndex((number) => number > 0);
  return first < 0 ? numbers.length : first + 1;
}
