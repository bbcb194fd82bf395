import { expect, test } from 'vitest';
import { canonicalJson } from './canonical.ts';

test('canonicalJson: sorts members by code point at every depth, when they come in another order', () => {
  const value = JSON.parse(
    '{"b":[{"d":1,"c":null}], "a":"é\\n", "\\uffff":1, "\\ud800\\udc00":2, "ab":3, "10":4, "9":5}',
  );
  expect(canonicalJson(value)).toBe('{"10":4,"9":5,"a":"é\\n","ab":3,"b":[{"c":null,"d":1}],"\uffff":1,"\u{10000}":2}');
});
