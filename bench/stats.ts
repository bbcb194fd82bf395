/** One row of a bench: a stable name, its unit, how many samples, and their median and 95th percentile. */
export interface Row {
  name: string;
  unit: string;
  n: number;
  p50: number;
  p95: number;
}

/** Sums samples up. A throughput has its rate as `p50`. */
export function rowOf(name: string, unit: string, samples: readonly number[]): Row {
  const sorted = samples.toSorted((a, b) => a - b);
  return { name, unit, n: sorted.length, p50: round(quantile(sorted, 0.5)), p95: round(quantile(sorted, 0.95)) };
}

/** Linear interpolation between the two nearest of sorted samples. */
function quantile(sorted: readonly number[], q: number): number {
  const position = (sorted.length - 1) * q;
  const below = Math.floor(position);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[below + 1] ?? low;
  return low + (high - low) * (position - below);
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** How two sets of interleaved samples differ: the ratio of their medians, and how likely chance alone makes it. */
export interface Comparison {
  ratio: number;
  /** Two-sided p of the Mann-Whitney U test, by its normal approximation; meant for eight samples or more each. */
  p: number;
}

/** Compares A with B without assuming how either is distributed. */
export function compare(a: readonly number[], b: readonly number[]): Comparison {
  const ranks = rank([...a, ...b]);
  const rankSum = ranks.slice(0, a.length).reduce((sum, value) => sum + value, 0);
  const u = rankSum - (a.length * (a.length + 1)) / 2;
  const mean = (a.length * b.length) / 2;
  const deviation = Math.sqrt((a.length * b.length * (a.length + b.length + 1)) / 12);
  const z = deviation === 0 ? 0 : Math.abs(u - mean) / deviation;
  return { ratio: round(median(a) / median(b)), p: round(2 * (1 - normal(z))) };
}

/** How much more the median of A is than that of B. */
export interface Difference {
  /** A's median without B's, in the samples' unit. */
  value: number;
  /** In 95 of 100 such measurements the difference lies between them. */
  low: number;
  high: number;
  /** As {@link Comparison} has it. */
  p: number;
}

const RESAMPLES = 2000;

/** The difference of two medians with its 95 % confidence interval (percentile bootstrap; the same for equal samples). */
export function difference(a: readonly number[], b: readonly number[]): Difference {
  const next = generator();
  const medianOfDraws = (samples: readonly number[]) =>
    median(samples.map(() => samples[Math.floor(next() * samples.length)] ?? Number.NaN));
  const differences = Array.from({ length: RESAMPLES }, () => medianOfDraws(a) - medianOfDraws(b));
  differences.sort((x, y) => x - y);
  return {
    value: round(median(a) - median(b)),
    low: round(quantile(differences, 0.025)),
    high: round(quantile(differences, 0.975)),
    p: compare(a, b).p,
  };
}

/** Numbers from 0 to below 1, always the same ones (mulberry32). */
function generator(): () => number {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function median(samples: readonly number[]): number {
  return quantile(
    samples.toSorted((x, y) => x - y),
    0.5,
  );
}

/** Ranks from 1; equal values share the mean of theirs. */
function rank(values: readonly number[]): number[] {
  const order = values.map((value, index) => ({ value, index })).toSorted((x, y) => x.value - y.value);
  const ranks = new Array<number>(values.length).fill(0);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (order[end + 1]?.value === order[start]?.value) end++;
    for (let at = start; at <= end; at++) ranks[order[at]?.index ?? 0] = (start + end) / 2 + 1;
    start = end + 1;
  }
  return ranks;
}

/** Standard normal distribution function (Abramowitz and Stegun 7.1.26, error below 1.5e-7). */
function normal(z: number): number {
  const t = 1 / (1 + 0.3275911 * (z / Math.SQRT2));
  const polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return 1 - (polynomial * Math.exp((-z * z) / 2)) / 2;
}
