import { expect, test } from 'vitest';
import { clean, cleanLine, formatAge, formatBytes, formatMs, formatTable } from './terminal-text.ts';

test('clean: drops what a terminal would obey or reorder, when a guest sends it', () => {
  expect(clean('a\u001b[31mb\u0007\r\u009b2Kc\u202etxt\u2066\u007f')).toBe('a[31mb2Kctxt');
  expect(clean('tab\tline\nü 漢 🎉')).toBe('tab\tline\nü 漢 🎉');
  expect(cleanLine('a\n\tb')).toBe('a b');
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [99_940, '99.9 kB'],
  [99_960, '100 kB'],
  [999_600, '1.0 MB'],
  [104_857_600, '105 MB'],
  [5e9, '5.0 GB'],
])('formatBytes: writes %d for people, when asked, as %s', (sizeBytes, text) => {
  expect(formatBytes(sizeBytes)).toBe(text);
});

test('formatMs, formatAge: choose the unit, when the span grows', () => {
  expect([0.52, 42, 999, 4234, 180_000].map(formatMs)).toEqual(['0.5 ms', '42 ms', '999 ms', '4.2 s', '180 s']);
  expect([-5, 59_000, 60_000, 7_200_000, 3 * 86_400_000].map(formatAge)).toEqual(['0s', '59s', '1m', '2h', '3d']);
});

test('formatTable: aligns columns and pads no line end, when cells differ', () => {
  expect(
    formatTable([
      ['A', 'B', 'C'],
      ['aaa', '', 'c'],
      ['a', 'bb', ''],
    ]),
  ).toEqual(['A    B   C', 'aaa      c', 'a    bb']);
});
