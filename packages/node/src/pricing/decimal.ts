/** Exact numbers: prices are decimals, rates are those divided by an hour, and neither fits a float. */

/** A fraction; `below` is positive. */
export interface Exact {
  readonly above: bigint;
  readonly below: bigint;
}

/** Places after the point that the network's costs have. */
const PLACES = 18;
const ONE = 10n ** BigInt(PLACES);
/** Longer ones are no prices, and cost time to multiply. */
const MAX_DECIMAL_CHARS = 60;
const DECIMAL = /^(\d+)(?:\.(\d+))?$/;

export const ZERO: Exact = { above: 0n, below: 1n };

/** Reads a number as prices are written, `0.05`; undefined where it is none. */
export function parseDecimal(text: string): Exact | undefined {
  const [, whole, fraction = ''] = text.length <= MAX_DECIMAL_CHARS ? (DECIMAL.exec(text) ?? []) : [];
  if (whole === undefined) return undefined;
  return { above: BigInt(whole + fraction), below: 10n ** BigInt(fraction.length) };
}

/** A number of JSON, whose float is what was meant: 25, 0.5. @throws RangeError if it is not finite */
export function exactOf(value: number): Exact {
  if (!Number.isFinite(value)) throw new RangeError(`Cannot count with ${value}: not finite, expected a number`);
  let above = value;
  let below = 1n;
  // Twice a float is exact, and after enough of it every float is a whole number.
  while (!Number.isInteger(above)) {
    above *= 2;
    below *= 2n;
  }
  return { above: BigInt(above), below };
}

/** The product. */
export function times(a: Exact, b: Exact | bigint): Exact {
  if (typeof b === 'bigint') return { above: a.above * b, below: a.below };
  return { above: a.above * b.above, below: a.below * b.below };
}

/** The quotient. @param divisor above 0 */
export function over(a: Exact, divisor: bigint): Exact {
  return { above: a.above, below: a.below * divisor };
}

/** In units of the eighteenth place, rounded down, which for what is below zero means away from it. */
export function floorToPlaces({ above, below }: Exact): bigint {
  const scaled = above * ONE;
  const quotient = scaled / below;
  return scaled % below < 0n ? quotient - 1n : quotient;
}

/** Writes units of the eighteenth place as C's `%.18f` does. */
export function formatCost(units: bigint): string {
  const digits = (units < 0n ? -units : units).toString().padStart(PLACES + 1, '0');
  return `${units < 0n ? '-' : ''}${digits.slice(0, -PLACES)}.${digits.slice(-PLACES)}`;
}

/** The sum of costs that `formatCost` wrote. */
export function addCosts(costs: Iterable<string>): string {
  let units = 0n;
  for (const cost of costs) units += BigInt(cost.replace('.', ''));
  return formatCost(units);
}
