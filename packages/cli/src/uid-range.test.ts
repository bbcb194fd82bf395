import { expect, test } from 'vitest';
import { uidRange } from './uid-range.ts';

test('uid range: is read, and neither root nor what is no user is in it', () => {
  expect(uidRange('2147000000-2147483583')).toEqual({ first: 2_147_000_000, count: 483_584 });
  for (const text of ['0-5', '5-4', '7', '1-4294967295', 'a-b', ''])
    expect(() => uidRange(text), text).toThrow('expected FIRST-LAST such as');
});
