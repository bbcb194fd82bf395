import pc from 'picocolors';
import { expect, test } from 'vitest';
import { waterfall } from './waterfall.ts';

const colors = pc.createColors(false);
const start = (times: Record<string, number>) => {
  const steps = Object.entries(times).map(([name, ms]) => ({ name, ms }));
  return { askedMs: 0, from: 'boot', steps, totalMs: steps.reduce((sum, { ms }) => sum + ms, 0) };
};

test('waterfall: draws each step from where the one before it ended', () => {
  const lines = waterfall(start({ queue: 0, prepare: 250, boot: 500, app: 250 }), {
    ...{ columns: 40, isTerminal: false, colors },
  });
  expect(lines).toEqual([
    'queue       0.0 ms  #',
    'prepare     250 ms  #####',
    'boot        500 ms       ##########',
    'first byte  250 ms                 #####',
    'total        1.0 s',
  ]);
});

test('waterfall: shows steps of nothing, and none beyond the edge', () => {
  const lines = waterfall(start({ restore: 1000, resume: 0.01, app: 0 }), {
    ...{ columns: 20, isTerminal: true, colors },
  });
  expect(lines.map((line) => line.slice(-11))).toEqual([
    ' ██████████',
    expect.stringMatching(/ {9}█$/),
    expect.stringMatching(/ {9}█$/),
    expect.stringMatching(/1\.0 s$/),
  ]);
  expect(
    Math.max(...waterfall(start({ a: 1, b: 2 }), { columns: 500, isTerminal: true, colors }).map((l) => l.length)),
  ).toBeLessThan(80);
  expect(waterfall(start({ a: 0 }), { columns: 80, isTerminal: true, colors })).toHaveLength(2);
});

test('waterfall: writes names of steps without what would move the cursor', () => {
  const [line] = waterfall(start({ 'a\u001b[2Jb': 1 }), { columns: 80, isTerminal: true, colors });
  expect(line).toContain('a[2Jb');
});
