import { expect, test } from 'vitest';
import { parseCommand } from './command.ts';

test.each([
  ['./server --port 8080', ['./server', '--port', '8080'], {}],
  ['  a "b c" \'d e\'  f"g h" ', ['a', 'b c', 'd e', 'fg h'], {}],
  ['A=1 B="x y" run', ['run'], { A: '1', B: 'x y' }],
  ["echo 'a $b | c'", ['echo', 'a $b | c'], {}],
  ['', [], {}],
])('parseCommand: splits %j, when no shell is needed', (line, words, variables) => {
  expect(parseCommand(line)).toMatchObject({ words, variables });
});

test.each(['a $PORT', 'a && b', 'a | b', 'a > b', 'a *.js', 'a `b`', 'a "$B"', 'a "b', "a 'b", 'a\nb', '(a)'])(
  'parseCommand: leaves %j to a shell, when one is needed',
  (line) => {
    expect(parseCommand(line).words).toBeUndefined();
  },
);
