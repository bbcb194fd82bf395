import { Decimal } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addCosts, exactOf, floorToPlaces, formatCost, over, parseDecimal, times } from './decimal.ts';

/** Far more digits than any price times any size has. */
const Wide = Decimal.clone({ precision: 200 });
const price = fc
  .tuple(fc.bigInt({ min: 0n, max: 10n ** 12n }), fc.bigInt({ min: 0n, max: 10n ** 20n - 1n }))
  .map(([whole, fraction]) => `${whole}.${String(fraction).padStart(20, '0')}`);

describe('decimal', () => {
  test('floorToPlaces: is what exact arithmetic gives, rounded down at the eighteenth place', () => {
    fc.assert(
      fc.property(price, fc.double({ min: 1e-6, max: 1e9, noNaN: true }), fc.boolean(), (text, amount, isNegative) => {
        const rate = over(parseDecimal(text) ?? exactOf(0), 3600n);
        const exact = times(times(rate, exactOf(amount)), isNegative ? -1n : 1n);
        const expected = new Wide(text)
          .div(3600)
          .times(`0b${amount.toString(2)}`)
          .times(isNegative ? -1 : 1)
          .toFixed(18, Decimal.ROUND_FLOOR);
        // There is one zero.
        expect(formatCost(floorToPlaces(exact))).toBe(expected.replace(/^-(0\.0+)$/, '$1'));
      }),
      { numRuns: 2000 },
    );
  });

  test('addCosts: adds what formatCost wrote, below zero as well', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n })), (units) => {
        expect(addCosts(units.map(formatCost))).toBe(formatCost(units.reduce((sum, one) => sum + one, 0n)));
      }),
    );
    expect(addCosts([])).toBe('0.000000000000000000');
  });

  test.each(['', '.5', '5.', '-1', '1e3', '0x10', ' 1', '1'.repeat(61), 'NaN'])('parseDecimal: refuses %j', (text) => {
    expect(parseDecimal(text)).toBeUndefined();
  });

  test('exactOf: refuses what is no number', () => {
    expect(() => exactOf(Number.POSITIVE_INFINITY)).toThrow(RangeError);
  });
});
